import { NoteSchema, TopicService } from "../../gen/hawser/test/v1/topics_pb.js";
import { defineTopic, presenceOf, type Router, type Topic } from "../../src/index.js";

type TopicOf = (name: string) => Topic<typeof NoteSchema>;

/** Topics with enough history for the tests that are not about history that is too short. */
export const Notes: TopicOf = defineTopic({
  name: (name: string) => `notes.${name}`,
  schema: NoteSchema,
  history: { size: 10_000, ttlMs: 600_000 },
});

export const ShortNotes: TopicOf = defineTopic({
  name: (name: string) => `short.${name}`,
  schema: NoteSchema,
  history: { size: 5, ttlMs: 600_000 },
});

export const PlainNotes: TopicOf = defineTopic({
  name: (name: string) => `plain.${name}`,
  schema: NoteSchema,
});

export const LatestNotes: TopicOf = defineTopic({
  name: (name: string) => `latest.${name}`,
  schema: NoteSchema,
  slow: "latest",
  key: ({ key }) => key,
});

/** Whose subscribers are known. */
export const Room: TopicOf = defineTopic({
  name: (name: string) => `room.${name}`,
  schema: NoteSchema,
  presence: { info: ({ identity }) => ({ name: identity?.id.toUpperCase() ?? "" }) },
});

/** A well-behaved TopicService. */
export function topicRoutes(router: Router): void {
  router.service(TopicService, {
    watch: ({ name }) => (name.startsWith("short") ? ShortNotes(name) : Notes(name)),
    watchPlain: ({ name }) => PlainNotes(name),
    watchLatest: ({ name }) => LatestNotes(name),
    watchRoom: ({ name }) => Room(name),
    watchMembers: ({ name }) => presenceOf(Room(name)),
    post: async ({ name, note }, context) => context.publish(Notes(name), note ?? {}),
  });
}
