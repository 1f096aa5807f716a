import type { Server } from "node:http";
import type { Socket } from "node:net";
import type { CountingSocket } from "./counting-socket.js";

/** What a contender's server process gives to its client process. */
export interface BenchServer {
  readonly port: number;
  close(): Promise<void>;
  /** Bytes that all its sockets have read and written so far. */
  traffic(): number;
}

/** One connection of a contender, ready for work. */
export interface BenchClient {
  /**
   * Makes `calls` calls, `depth` of them in flight at any time: each sends a message and waits for the same message.
   *
   * @param times Takes the time of every call in milliseconds, when that is wanted.
   */
  echo(calls: number, depth: number, times: Float64Array | undefined): Promise<void>;
  /** Has the server push `count` messages, and waits for all of them. */
  push(count: number): Promise<void>;
  /** Has the server publish so many messages of so many bytes, some in each turn; the number of each is in its last four. */
  publish(messages: number, perTurn: number, bytes: number): Promise<void>;
  close(): Promise<void>;
}

/** A way to make calls, to be measured beside others. */
export interface Contender {
  serve(): Promise<BenchServer>;
  /** `bodies`: what the messages carry, in turns; all have one length. */
  connect(port: number, bodies: readonly Uint8Array[]): Promise<BenchClient>;
  /** A connection that gets what is published, and does nothing with it but look for its end. */
  subscribe(port: number): Promise<CountingSocket>;
}

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

/** Counts the bytes of the sockets that an HTTP server accepts. */
export function countTraffic(http: Server): () => number {
  const open = new Set<Socket>();
  let closed = 0;
  const bytes = ({ bytesRead, bytesWritten }: Socket) => bytesRead + bytesWritten;
  http.on("connection", (socket) => {
    open.add(socket);
    socket.once("close", () => {
      open.delete(socket);
      closed += bytes(socket);
    });
  });
  return () => [...open].reduce((sum, socket) => sum + bytes(socket), closed);
}

/**
 * {@link BenchClient.echo} for contenders whose call gives a promise.
 *
 * @param accept Whether an answer is the right one.
 */
export async function echoInLoops<Answer>(
  call: () => Promise<Answer>,
  accept: (answer: Answer) => boolean,
  calls: number,
  depth: number,
  times: Float64Array | undefined,
): Promise<void> {
  let started = 0;
  const loop = async () => {
    while (started < calls) {
      const index = started++;
      const start = times === undefined ? 0 : performance.now();
      if (!accept(await call())) throw new Error("another message came back");
      if (times !== undefined) times[index] = performance.now() - start;
    }
  };
  await Promise.all(Array.from({ length: depth }, loop));
}
