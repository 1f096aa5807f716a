/** Work whose cost per call, or per message, does not depend on the machine. */
export type GuardWork =
  /** Calls over one connection whose sockets are in memory. */
  | { readonly kind: "echo"; readonly bytes: number; readonly depth: number; readonly amount: number }
  /** Messages from the server, likewise. */
  | { readonly kind: "push"; readonly bytes: number; readonly amount: number }
  /** Codecs alone. */
  | { readonly kind: "codec"; readonly message: "small" | "large"; readonly amount: number }
  /** Connections that do nothing. */
  | { readonly kind: "idle"; readonly amount: number }
  /** Speed beside that of something else, in turns, over real sockets. */
  | { readonly kind: "ratio" }
  /** Instructions that the interpreter runs, counted by valgrind. */
  | {
      readonly kind: "instructions";
      readonly bytes: number;
      readonly depth: number;
      readonly amount: number;
    };

/** A part of the guard; the child process that measures it is started for it alone, since code learns from what ran before. */
export interface GuardScenario {
  readonly name: string;
  readonly work: GuardWork;
}

/** Everything that is measured. */
export const GUARD_SCENARIOS: readonly GuardScenario[] = [
  { name: "unary-32B-1", work: { kind: "echo", bytes: 32, depth: 1, amount: 2_000 } },
  { name: "unary-32B-64", work: { kind: "echo", bytes: 32, depth: 64, amount: 6_400 } },
  { name: "unary-1KiB-64", work: { kind: "echo", bytes: 1_024, depth: 64, amount: 3_200 } },
  { name: "push-32B", work: { kind: "push", bytes: 32, amount: 10_000 } },
  { name: "codec-small", work: { kind: "codec", message: "small", amount: 20_000 } },
  { name: "codec-large", work: { kind: "codec", message: "large", amount: 100 } },
  { name: "idle", work: { kind: "idle", amount: 300 } },
  { name: "instructions", work: { kind: "instructions", bytes: 32, depth: 8, amount: 800 } },
  { name: "ratio", work: { kind: "ratio" } },
];

/** What is measured of them: how it is called, and whether more of it is better. */
interface Quantity {
  readonly title: string;
  readonly moreIsBetter: boolean;
}

const less = (title: string): Quantity => ({ title, moreIsBetter: false });
const more = (title: string): Quantity => ({ title, moreIsBetter: true });

/** The quantities by name. Whatever is per call, is per message of a stream. */
export const QUANTITIES: Readonly<Record<string, Quantity>> = {
  heapBytes: less("JS heap allocated, B"),
  bufferBytes: less("buffers allocated, B"),
  wireBytes: less("bytes on the wire"),
  writes: less("writes to sockets"),
  packets: less("WebSocket messages"),
  encodeBytes: less("allocated to encode, B"),
  decodeBytes: less("allocated to decode, B"),
  heldBytes: less("JS heap held, both ends, B"),
  instructions: less("instructions, interpreted"),
  callsToWs: more("unary-32B-64, calls ÷ ws"),
  pushToWs: more("push-32B, messages ÷ ws"),
  encodeSmall: more("encode small ÷ protobuf-es"),
  decodeSmall: more("decode small ÷ protobuf-es"),
  encodeLarge: more("encode large ÷ protobuf-es"),
  decodeLarge: more("decode large ÷ protobuf-es"),
};
