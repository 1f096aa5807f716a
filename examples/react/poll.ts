// The poll: a topic that says how it stands, a call that counts once, and a stream that goes on in another session.
import {
  Code,
  createServer,
  defineTopic,
  memoryIdempotencyStore,
  RpcError,
  resumable,
  type Server,
} from "hawser/server";
import { PollService, WatchResponseSchema } from "../../gen/hawser/poll/v1/poll_hawser.js";

const OPTIONS: readonly string[] = ["rope", "chain", "anchor"];
/** Between two votes of a replay. */
const STEP_MS = 20;

/** The newest state is all that a subscriber needs: what it missed is in it. */
const Standing = defineTopic({
  name: "standing",
  schema: WatchResponseSchema,
  history: { size: 1, ttlMs: 24 * 3_600_000 },
  slow: "latest",
});

/** A server with one poll, in memory. */
export async function createPollServer(): Promise<Server> {
  const votes: string[] = [];
  const standing = () => ({
    votes: Object.fromEntries(
      OPTIONS.map((option) => [option, votes.filter((vote) => vote === option).length]),
    ),
  });
  const server = createServer({
    idempotencyStore: memoryIdempotencyStore(),
    routes: (router) =>
      router.service(PollService, {
        watch: () => Standing(),
        async vote({ option }, context) {
          if (!OPTIONS.includes(option)) throw new RpcError(`there is no ${option}`, Code.InvalidArgument);
          const number = votes.push(option);
          await context.publish(Standing(), standing());
          return { number };
        },
        async *replay(_request, { resumeToken, signal }) {
          for (
            let number = Number(resumeToken ?? 0) + 1;
            number <= votes.length && !signal.aborted;
            number++
          ) {
            yield resumable({ number, option: votes[number - 1] ?? "" }, String(number));
            await new Promise((resolve) => setTimeout(resolve, STEP_MS));
          }
        },
      }),
  });
  await server.publish(Standing(), standing());
  return server;
}
