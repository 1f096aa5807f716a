/** What a contender's server process gives to its client process. */
export interface BenchServer {
  readonly port: number;
  close(): Promise<void>;
}

/** One connection of a contender, ready for work. */
export interface BenchClient {
  /** One call: sends a message and waits for the same message. */
  echo(): Promise<unknown>;
  /** Has the server push `count` messages, and waits for all of them. */
  push(count: number): Promise<void>;
  close(): Promise<void>;
}

/** A way to make calls, to be measured beside others. */
export interface Contender {
  readonly name: string;
  serve(): Promise<BenchServer>;
  /** `bodyBytes`: length of the body of each message. */
  connect(port: number, bodyBytes: number): Promise<BenchClient>;
}

/** The text that every message carries beside its body. */
export const NAME = "a name of 20 letters";

/** A body that does not compress to nothing. */
export function makeBody(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + 7) & 0xff);
}
