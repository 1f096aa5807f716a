import { createHash } from "node:crypto";
import { nuid } from "@nats-io/transport-node";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { HistoryLimits } from "../broker/broker.js";
import { Batched } from "./batched.js";
import { type JetStreamApi, JetStreamCode, JetStreamRefusal } from "./jetstream-api.js";

/** Times of JetStream are in nanoseconds. */
const NANOS = 1_000_000;

/** What JetStream allows at least, in milliseconds. */
const SHORTEST_AGE_MS = 100;

/** How long a stream knows the ids of what was published, in milliseconds; no longer than it keeps anything. */
const DUPLICATE_MS = 120_000;

/** No leader answers within this time, in milliseconds, while there is none: asked again then. */
const TIMEOUT_MS = 1_500;

/** How a stream stands. */
export interface StreamState {
  /** Hash of its name and of when it was made: 16 hexadecimal digits. */
  readonly epoch: string;
  /** What it puts into the subjects of what it sends on, so that this is told from what another stream has sent. */
  readonly incarnation: string;
  /** Sequences of the oldest and of the newest message, of all topics; or what they would be. */
  readonly first: number;
  readonly last: number;
}

interface StreamConfig {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly retention: string;
  readonly discard: string;
  readonly max_msgs_per_subject: number;
  readonly max_age: number;
  readonly republish?: { readonly src: string; readonly dest: string };
}

interface StreamInfo {
  readonly config: StreamConfig;
  readonly created: string;
  readonly state: {
    readonly first_seq: number;
    readonly last_seq: number;
    readonly subjects?: Readonly<Record<string, number>>;
  };
}

/**
 * The stream that all topics with the same limits of history share: what is published to a topic's subject is stored, and
 * sent on by the server, in the order in which it was stored.
 */
export class HistoryStream {
  readonly name: string;
  readonly size: number;
  readonly ttlMs: number;
  /** How long it knows the ids of what was published, in milliseconds. */
  readonly duplicateMs: number;
  readonly #api: JetStreamApi;
  readonly #config: StreamConfig;
  readonly #prefix: string;
  readonly #class: string;
  readonly #onEpoch: () => void;
  readonly #look = new Batched(() => this.#ensure());
  #epoch: string | undefined;

  /** @param onEpoch Called when the stream turns out to be another one than before. */
  constructor(
    api: JetStreamApi,
    prefix: string,
    replicas: number,
    { size, ttlMs }: HistoryLimits,
    onEpoch: () => void,
  ) {
    this.#api = api;
    this.#prefix = prefix;
    this.size = size;
    this.ttlMs = Math.max(SHORTEST_AGE_MS, Math.ceil(ttlMs));
    this.duplicateMs = Math.min(DUPLICATE_MS, this.ttlMs);
    this.#class = historyClass({ size, ttlMs });
    this.name = `${prefix.toUpperCase()}_${this.#class}`;
    this.#onEpoch = onEpoch;
    const config = {
      name: this.name,
      subjects: [this.subject("*")],
      retention: "limits",
      discard: "old",
      storage: "file",
      num_replicas: replicas,
      max_msgs_per_subject: size,
      max_age: this.ttlMs * NANOS,
      duplicate_window: this.duplicateMs * NANOS,
      // Direct gets are answered by members that may be behind.
      allow_direct: false,
      republish: { src: this.subject("*"), dest: this.#destination(nuid.next().slice(-8)) },
    };
    this.#config = config;
  }

  /** Where a topic is published, and by which it is found in the stream. */
  subject(token: string): string {
    return `${this.#prefix}.h.${this.#class}.${token}`;
  }

  /** Where the server sends what it has stored, whichever stream it is. */
  liveSubject(token: string): string {
    return `${this.#prefix}.l.${this.#class}.*.${token}`;
  }

  /** Of which stream something is, by the subject by which it was sent on. */
  static incarnationOf(liveSubject: string): string {
    return liveSubject.split(".", 4)[3] ?? "";
  }

  #destination(incarnation: string): string {
    return `${this.#prefix}.l.${this.#class}.${incarnation}.{{wildcard(1)}}`;
  }

  /** As it was when last looked at; `""` before. */
  get epoch(): string {
    return this.#epoch ?? "";
  }

  /**
   * Looks at the stream, and makes it when it is missing. The leader answers: what was subscribed before, through the same
   * connection, is known to it then.
   *
   * @throws RpcError UNAVAILABLE; FAILED_PRECONDITION when there is another stream of this name.
   */
  look(): Promise<StreamState> {
    return this.#look.next();
  }

  /**
   * From which offset on nothing has been removed behind it, of a subject whose first publication is `first`. The oldest go
   * first, whether for age or for number. So nothing behind an offset has gone, if the subject has not as many as it may
   * have, and either the stream still has something that is as old, or it is not long ago that there was nothing behind it.
   *
   * Asked after `first` was read, this proves that nothing was before it.
   *
   * @param sureAt When it was known that nothing was behind the offset in question, by `performance.now()`.
   */
  async keptFrom(subject: string, first: number, sureAt?: number): Promise<number> {
    const { state } = await this.#info({ subjects_filter: subject });
    const count = state.subjects?.[subject] ?? 0;
    if (count >= this.size) return first - 1;
    if (sureAt !== undefined && performance.now() - sureAt < this.ttlMs) return 0;
    return Math.min(first - 1, Math.max(0, state.first_seq - 1));
  }

  #info(body?: object): Promise<StreamInfo> {
    return this.#api.request<StreamInfo>(`STREAM.INFO.${this.name}`, body, TIMEOUT_MS);
  }

  async #ensure(): Promise<StreamState> {
    let info: StreamInfo;
    try {
      info = await this.#info();
    } catch (error) {
      if (!isRefusal(error, JetStreamCode.StreamNotFound)) throw plainError(error);
      info = await this.#create();
    }
    const incarnation = this.#checkConfig(info.config);
    const { created, state } = info;
    const epoch = createHash("sha256").update(`${this.name}\n${created}`).digest("hex").slice(0, 16);
    const before = this.#epoch;
    this.#epoch = epoch;
    if (before !== undefined && before !== epoch) this.#onEpoch();
    return { epoch, incarnation, first: state.first_seq, last: state.last_seq };
  }

  /** Others may do the same at the same time: the same settings twice are no mistake. */
  async #create(): Promise<StreamInfo> {
    try {
      await this.#api.request(`STREAM.CREATE.${this.name}`, this.#config);
      return await this.#info();
    } catch (error) {
      if (isRefusal(error, JetStreamCode.StreamNameInUse)) return this.#info();
      throw plainError(error);
    }
  }

  /** Returns the incarnation. */
  #checkConfig(found: StreamConfig): string {
    const wanted = this.#config;
    const incarnation = HistoryStream.incarnationOf(found.republish?.dest ?? "");
    const isSentOn =
      found.republish?.src === wanted.republish?.src &&
      found.republish?.dest === this.#destination(incarnation);
    const differs = [
      found.subjects.join() !== wanted.subjects.join() && "subjects",
      found.max_msgs_per_subject !== wanted.max_msgs_per_subject && "max_msgs_per_subject",
      found.max_age !== wanted.max_age && "max_age",
      found.retention !== wanted.retention && "retention",
      found.discard !== wanted.discard && "discard",
      !isSentOn && "republish",
    ].filter((name) => name !== false);
    if (differs.length === 0) return incarnation;
    throw new RpcError(
      `the stream ${this.name} is there with other settings (${differs.join(", ")}): delete it, or give another prefix`,
      Code.FailedPrecondition,
      { executed: "no" },
    );
  }
}

/** Names the limits: one stream for each. */
export function historyClass({ size, ttlMs }: HistoryLimits): string {
  return `${size}_${Math.max(SHORTEST_AGE_MS, Math.ceil(ttlMs))}`;
}

function isRefusal(error: unknown, code: number): boolean {
  return error instanceof JetStreamRefusal && error.errorCode === code;
}

/** What JetStream refuses when a stream is made will be refused again: no JetStream, too many replicas, no rights. */
function plainError(error: unknown): unknown {
  return error instanceof JetStreamRefusal
    ? new RpcError(`JetStream has refused: ${error.message}`, Code.FailedPrecondition, {
        executed: "no",
        cause: error,
      })
    : error;
}
