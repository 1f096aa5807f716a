import { create, toBinary } from "@bufbuild/protobuf";
import { EchoRequestSchema } from "../../gen/hawser/bench/v1/bench_pb.js";

/** What the bodies of messages are made of. */
export type BodyKind = "numbers" | "json";

/** The text that every message carries beside its body. */
export const NAME = "a name of 20 letters";

/** Bodies that take turns: numbers that do not compress to nothing, or records as JSON has them, each another one. */
export function makeBodies(bytes: number, kind: BodyKind): readonly Uint8Array[] {
  if (kind === "numbers") return [Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + 7) & 0xff)];
  return Array.from({ length: 1_000 }, (_, index) => {
    let text = "";
    for (let id = index * 100; text.length < bytes; id++) text += JSON.stringify(makeRecord(id));
    return new TextEncoder().encode(text.slice(0, bytes));
  });
}

/** Names repeat, values differ, as in what services send. */
function makeRecord(id: number) {
  const hash = Math.imul(id + 1, 0x9e3779b1) >>> 0;
  return {
    id: hash,
    customer: { name: NAMES[hash % NAMES.length], email: `user${hash % 9973}@example.com` },
    items: [{ sku: `A-${hash % 7919}`, quantity: (hash >>> 8) % 9, price: ((hash >>> 4) % 10_000) / 100 }],
    created: new Date(1_790_000_000_000 + (hash % 1e9)).toISOString(),
    status: ["open", "paid", "shipped"][hash % 3],
    token: hash.toString(36) + Math.imul(hash, 0x85ebca6b).toString(36),
  };
}

const NAMES = [
  "Ada Lovelace",
  "Grace Hopper",
  "Alan Turing",
  "Edsger Dijkstra",
  "Barbara Liskov",
  "Tony Hoare",
];

/** Ids of messages that are made once take two bytes in all of them, so that all have one length. */
const FIRST_ID = 128;
const LAST_ID = 2 ** 14 - 1;

/**
 * Messages for contenders without a codec: the same bytes that Hawser sends as payload, made once.
 *
 * @param depth So many take turns, or as many as there are bodies: then a reply is told from its neighbours by its id.
 */
export function rawMessages(bodies: readonly Uint8Array[], depth: number): readonly Buffer[] {
  const count = Math.min(bodies.length === 1 ? depth : Math.max(depth, bodies.length), LAST_ID - FIRST_ID);
  return Array.from({ length: count }, (_, index) => {
    const body = bodies[index % bodies.length] as Uint8Array;
    return Buffer.from(
      toBinary(
        EchoRequestSchema,
        create(EchoRequestSchema, { id: BigInt(FIRST_ID + index), name: NAME, body }),
      ),
    );
  });
}

/** Whether a reply is the message that was sent, by length and id. */
export function isSameMessage(reply: Buffer, message: Buffer): boolean {
  return reply[1] === message[1] && reply[2] === message[2] && reply.length === message.length;
}

/** Publishes messages that end with their numbers, some in each turn of the event loop. */
export async function publishAll(
  publish: (message: Buffer) => void,
  messages: number,
  perTurn: number,
  bytes: number,
): Promise<void> {
  for (let number = 1; number <= messages; ) {
    for (let i = 0; i < perTurn && number <= messages; i++, number++) {
      const message = Buffer.alloc(bytes, 7);
      message.writeUInt32BE(number, bytes - 4);
      publish(message);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** What a Publication with an offset of two bytes adds to a message: contenders without an envelope send as much. */
export const ENVELOPE_BYTES = 17;
