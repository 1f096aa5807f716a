// The chat: who is let in, what its topics are, and what its methods do.
import { timestampNow } from "@bufbuild/protobuf/wkt";
import {
  type AuthRequest,
  Code,
  defineTopic,
  type HandlerContext,
  type Identity,
  presenceOf,
  type Router,
  RpcError,
  type SessionInfo,
  type Topic,
} from "hawser/server";
import { ChatMessageSchema, ChatService, TypingSchema } from "../../gen/hawser/chat/v1/chat_pb.js";
import { displayName, idOf } from "./names.js";

const DAY_MS = 24 * 60 * 60 * 1_000;
const MAX_NAME = 40;
const MAX_TEXT = 2_000;

/** What `authenticate` says of somebody, beside an id. */
interface Claims {
  /** As it was typed. */
  readonly name: string;
}

/**
 * Takes anybody at their word: the credentials are a name. Whoever gives the same name is the same person. See examples/jwt for
 * credentials that prove something.
 */
export function authenticate({ credentials }: AuthRequest): Identity {
  const name = displayName(credentials);
  if (name === "" || name.length > MAX_NAME || /\p{Cc}/u.test(name)) {
    throw new RpcError(`a name has 1 to ${MAX_NAME} characters`, Code.PermissionDenied);
  }
  return { id: idOf(name), claims: { name } satisfies Claims };
}

/** What is written in a room. Its subscribers are the room's members, and who comes back misses nothing of a day. */
const Messages: (room: string) => Topic<typeof ChatMessageSchema> = defineTopic({
  name: (room: string) => `chat.${checkRoom(room)}`,
  schema: ChatMessageSchema,
  history: { size: 1_000, ttlMs: DAY_MS },
  presence: { info: (session) => ({ name: nameOf(session) }) },
});

/** Who is about to write. Only what is newest of each person counts, so nobody ever has to catch up with it. */
const TypingIn: (room: string) => Topic<typeof TypingSchema> = defineTopic({
  name: (room: string) => `typing.${checkRoom(room)}`,
  schema: TypingSchema,
  slow: "latest",
  key: ({ author }) => author?.id ?? "",
});

/** The service, for `createServer`. */
export function chatRoutes(router: Router): void {
  router.service(ChatService, {
    join: ({ room }) => Messages(room),
    watchMembers: ({ room }) => presenceOf(Messages(room)),
    watchTyping: ({ room }) => TypingIn(room),

    async send({ room, id, text }, context) {
      if (!/^[\w-]{1,64}$/.test(id)) throw invalid("id must be 1 to 64 of A-Z, a-z, 0-9, _ and -");
      if (text.trim() === "" || text.length > MAX_TEXT)
        throw invalid(`text must have 1 to ${MAX_TEXT} characters`);
      const author = authorOf(context);
      const message = { id, author, text, sentAt: timestampNow() };
      // An attempt whose answer was lost is made again, with the same id; the topic takes it once. Ids of two people have
      // nothing to do with each other.
      await context.publish(Messages(room), message, { id: `${author.id}/${id}` });
      return {};
    },

    async sayTyping({ room }, context) {
      await context.publish(TypingIn(room), { author: authorOf(context) });
      return {};
    },
  });
}

function authorOf({ session }: HandlerContext): { id: string; name: string } {
  return { id: session.identity?.id ?? "", name: nameOf(session) };
}

function nameOf({ identity }: SessionInfo): string {
  const claims = identity?.claims as Claims | undefined;
  return claims?.name ?? "";
}

/** @throws RpcError INVALID_ARGUMENT */
function checkRoom(room: string): string {
  if (/^[a-z0-9][a-z0-9-]{0,31}$/.test(room)) return room;
  throw invalid('room must be 1 to 32 of a-z, 0-9 and "-", not beginning with "-"');
}

function invalid(what: string): RpcError {
  return new RpcError(what, Code.InvalidArgument);
}
