/** What a contender's server process gives to its client process. */
export interface BenchServer {
  readonly port: number;
  close(): Promise<void>;
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
  close(): Promise<void>;
}

/** A way to make calls, to be measured beside others. */
export interface Contender {
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
