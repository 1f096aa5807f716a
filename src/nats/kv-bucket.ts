import { Batched } from "./batched.js";
import { type JetStreamApi, JetStreamCode, JetStreamRefusal } from "./jetstream-api.js";

/** What a bucket must be like. */
export interface KvBucketSettings {
  readonly name: string;
  readonly description: string;
  /** How long a key lives that is not written again, in milliseconds. */
  readonly ttlMs: number;
  readonly storage: "file" | "memory";
  readonly replicas: number;
}

interface StreamInfo {
  readonly created: string;
  readonly state: { readonly subjects?: Readonly<Record<string, number>> };
}

interface StoredMessage {
  readonly message: { readonly hdrs?: string; readonly data?: string };
}

/** The header by which a message says that its key is gone. */
export const KV_OPERATION = "KV-Operation";

/**
 * A KV bucket with one value for each key, laid out as other clients know it (ADR-8 of NATS). Written to by whoever publishes
 * below {@link KvBucket.subject}; read from the leader of its stream, since the others may be behind.
 */
export class KvBucket {
  readonly name: string;
  /** Of all keys: the key follows behind a dot. */
  readonly subject: string;
  readonly #api: JetStreamApi;
  readonly #settings: KvBucketSettings;
  readonly #looks = new Batched(() => this.#look());
  /** When it was made, as far as is known. */
  #created: string | undefined;

  constructor(api: JetStreamApi, settings: KvBucketSettings) {
    this.#api = api;
    this.#settings = settings;
    this.name = settings.name;
    this.subject = `$KV.${settings.name}`;
  }

  /**
   * Makes it when it is missing. Resolves with whether it is another one than at the last check, so that what was written
   * before is gone.
   *
   * @throws RpcError UNAVAILABLE when JetStream does not answer now; JetStreamRefusal when it will not have it.
   */
  async check(): Promise<boolean> {
    const created = await this.#looks.next();
    const isOther = created !== this.#created;
    this.#created = created;
    return isOther;
  }

  /**
   * The value of a key; `undefined` when there is none.
   *
   * @throws RpcError UNAVAILABLE when it cannot be read now; JetStreamRefusal when there is no bucket.
   */
  async read(key: string): Promise<Uint8Array | undefined> {
    try {
      const { message } = await this.#api.request<StoredMessage>(`STREAM.MSG.GET.KV_${this.name}`, {
        last_by_subj: `${this.subject}.${key}`,
      });
      if (message.hdrs !== undefined && isMarker(message.hdrs)) return undefined;
      return Buffer.from(message.data ?? "", "base64");
    } catch (error) {
      if (isRefusal(error, JetStreamCode.NoMessage)) return undefined;
      throw error;
    }
  }

  /** All keys; those of which the last message says that they are gone are among them. For small buckets. */
  async keys(): Promise<string[]> {
    const { state } = await this.#api.request<StreamInfo>(`STREAM.INFO.KV_${this.name}`, {
      subjects_filter: `${this.subject}.>`,
    });
    return Object.keys(state.subjects ?? {}).map((subject) => subject.slice(this.subject.length + 1));
  }

  async #look(): Promise<string> {
    for (;;) {
      try {
        return (await this.#api.request<StreamInfo>(`STREAM.INFO.KV_${this.name}`)).created;
      } catch (error) {
        if (!isRefusal(error, JetStreamCode.StreamNotFound)) throw error;
      }
      try {
        const config = streamConfig(this.subject, this.#settings);
        return (await this.#api.request<StreamInfo>(`STREAM.CREATE.KV_${this.name}`, config)).created;
      } catch (error) {
        // Another node was faster.
        if (!isRefusal(error, JetStreamCode.StreamNameInUse)) throw error;
      }
    }
  }
}

/** Whether an error is this answer of JetStream. */
export function isRefusal(error: unknown, code: number): boolean {
  return error instanceof JetStreamRefusal && error.errorCode === code;
}

/** Whether headers, in base64, say that the key is gone. */
function isMarker(hdrs: string): boolean {
  return Buffer.from(hdrs, "base64").includes(`${KV_OPERATION}:`);
}

function streamConfig(subject: string, { name, description, ttlMs, storage, replicas }: KvBucketSettings) {
  return {
    name: `KV_${name}`,
    description,
    subjects: [`${subject}.>`],
    retention: "limits",
    discard: "new",
    storage,
    num_replicas: replicas,
    max_consumers: -1,
    max_msgs: -1,
    max_bytes: -1,
    max_msg_size: -1,
    max_msgs_per_subject: 1,
    // In nanoseconds.
    max_age: ttlMs * 1_000_000,
    deny_delete: true,
    allow_rollup_hdrs: true,
    allow_direct: false,
  };
}
