/** Work that is counted in calls or messages; as much of it as time allows. */
export type Work =
  /** Calls, `depth` of them in flight on each connection. */
  | { readonly kind: "echo"; readonly depth: number; readonly connections: number }
  /** Messages from the server to one client. */
  | { readonly kind: "push" }
  /** Messages from one client to the server. */
  | { readonly kind: "upload" }
  /** Messages through a stream that gives them back, `depth` of them on their way. */
  | { readonly kind: "converse"; readonly depth: number }
  /** Publications to all subscribers of {@link Contender.subscribe}, some in each turn of the server's event loop. */
  | {
      readonly kind: "fanOut";
      readonly connections: number;
      readonly perTurn: number;
      readonly bytes: number;
    };

/** What a client process is asked to do. */
export type Task =
  /** Does the work for so many milliseconds, and finds out how fast it goes. */
  | { readonly kind: "warmUp"; readonly work: Work; readonly ms: number }
  /** Does so much of the work. */
  | { readonly kind: "run"; readonly work: Work; readonly amount: number }
  /** Opens so many connections more, which stay; each makes so many calls. */
  | {
      readonly kind: "hold";
      readonly connections: number;
      readonly calls: number;
      readonly reconnecting: boolean;
    }
  /** Opens so many connections more that are subscribed to a topic. */
  | { readonly kind: "watch"; readonly connections: number }
  /** Opens so many connections at once, which stay; each makes one call. */
  | { readonly kind: "storm"; readonly connections: number }
  /** Waits until all held connections have lost their links and are back. Says `ready` first. */
  | { readonly kind: "recover" };

/** What it answers. */
export interface Outcome {
  /** Wall time, in milliseconds. */
  readonly ms: number;
  /** User and system time of the client process, in milliseconds. */
  readonly cpuMs: number;
  /** Calls or messages per millisecond, at the end of a `warmUp`. */
  readonly perMs?: number;
  /** Times of calls in microseconds; only of a run with one call in flight. */
  readonly latency?: { readonly p50: number; readonly p99: number };
}

/** What a server process is asked for, or to do. */
export type Question = "cpu" | "memory" | "cut";

/** What it answers to `cpu`. */
export interface ServerCpu {
  /** User and system time, in milliseconds. */
  readonly cpuMs: number;
  /** Bytes on its sockets so far, both ways. */
  readonly traffic: number;
  readonly rssBytes: number;
}

/** What it answers to `memory`, after garbage has been collected. */
export interface ServerMemory {
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Buffers outside the heap. */
  readonly externalBytes: number;
}

/** What both processes are started with. */
export interface ProcessArguments {
  readonly role: "server" | "client";
  /** URL of the contender's module. */
  readonly module: string;
  readonly variant: string;
  /** Of the client only. */
  readonly port?: number;
  readonly bodyBytes?: number;
  readonly body?: "numbers" | "json";
}
