/** What a contender's server process gives to its client process. */
export interface BenchServer {
  readonly port: number;
  close(): Promise<void>;
  /** Bytes that all its sockets have read and written so far. */
  traffic(): number;
  /** Breaks every connection, as a network does that goes away: no close frame, no goodbye. */
  cut(): void;
}

/** One connection of a contender, ready for work. What is optional, not every contender can do. */
export interface BenchClient {
  /**
   * Makes `calls` calls, `depth` of them in flight at any time: each sends a message and waits for the same message.
   * Length and id of every reply are checked.
   *
   * @param times Takes the time of every call in milliseconds, when that is wanted.
   * @throws Error when another message comes back than was sent.
   */
  echo(calls: number, depth: number, times: Float64Array | undefined): Promise<void>;
  /** Has the server push `count` messages, checks the length and id of each, and waits for all of them. */
  push?(count: number): Promise<void>;
  /** Streams `count` messages to the server, and waits until it says that it has got so many. */
  upload?(count: number): Promise<void>;
  /** Sends `count` messages through one stream that gives them back, `depth` of them on their way at any time. */
  converse?(count: number, depth: number): Promise<void>;
  /** Has the server publish so many messages of so many bytes, some in each turn; the number of each is in its last four. */
  publish?(messages: number, perTurn: number, bytes: number): Promise<void>;
  /**
   * Waits for the link to break, and resolves when it is up again and a call has been answered. Only on connections that
   * were opened as `reconnecting`.
   */
  recovered?(): Promise<void>;
  close(): Promise<void>;
}

/** A connection that gets what is published, and does nothing with it but look for its end. */
export interface BenchSubscriber {
  /** Resolves when the message with this number has come. */
  wait(last: number): Promise<void>;
  destroy(): void;
}

/** A way to make calls, to be measured beside others. */
export interface Contender {
  serve(): Promise<BenchServer>;
  /**
   * @param bodies What the messages carry, in turns; all have one length.
   * @param reconnecting The connection comes back by itself, as soon as it can: what reconnecting costs is measured, not
   * how long one waits for it.
   */
  connect(port: number, bodies: readonly Uint8Array[], reconnecting: boolean): Promise<BenchClient>;
  subscribe?(port: number): Promise<BenchSubscriber>;
}

/** What the module of a contender exports. */
export interface ContenderModule {
  /** @param variant As in `contenders.ts`; `""` for the usual one. */
  create(variant: string): Contender;
}
