import { headers } from "@nats-io/transport-node";
import type { Registered } from "../broker/bus.js";
import type { Asks } from "./asks.js";
import type { NatsLink } from "./connection.js";
import { unavailable } from "./errors.js";
import { KV_OPERATION, type KvBucket } from "./kv-bucket.js";
import { encodeToken } from "./subject.js";

/** How long a key lives that is not written again. */
export const REGISTRY_TTL_MS = 3_600_000;

/** Writes on their way at once. */
const WINDOW = 256;

/** How often the bucket is looked at, and keys are looked for whose time has come to be written again. */
const LOOK_MS = 10_000;

/** An acknowledgement may take so long; an election after a crash takes some 4 to 7 s. */
const ACK_MS = 5_000;

/** Waits after writes that failed, growing. */
const BACKOFF_MS = [100, 250, 500, 1_000, 2_000] as const;

const NOTHING = new Uint8Array(0);

/** What a {@link Registry} needs. */
export interface RegistryInit {
  readonly link: NatsLink;
  readonly asks: Asks;
  readonly bucket: KvBucket;
  readonly node: string;
  /** Other nodes that are alive. */
  readonly nodes: ReadonlySet<string>;
  /** Largest value in bytes. */
  maxValue(): number;
  warn(message: string, ...details: unknown[]): void;
}

/** All that is on this node under a name: one key. */
interface Entry {
  readonly key: string;
  readonly ids: Set<string>;
  /** What was added or taken away since it was last sent. */
  changed: Set<string> | undefined;
  /** It has to be written even if nothing has changed. */
  owed: boolean;
  /** The key is in the bucket, or may be. */
  stored: boolean;
  writing: boolean;
  /** When it is written again. */
  dueAt: number;
}

/**
 * What is where. Each node writes its own keys only, `<kind>.<name>.<node>`, each with all ids that it has under the name: so
 * no two nodes ever write the same, and whoever looks for a name reads one key of each node, by its whole name. Looking for
 * keys with a wildcard takes older servers a time that grows with all keys that there are: 20 ms at 200,000.
 */
export class Registry {
  readonly #init: RegistryInit;
  readonly #entries = new Map<string, Entry>();
  /** Those to be written. */
  readonly #queue = new Set<Entry>();
  #writing = 0;
  #failures = 0;
  /** Something is wrong: nothing is written until the bucket has been looked at. */
  #held = true;
  #pumpTimer: NodeJS.Immediate | undefined;
  #repairTimer: NodeJS.Timeout | undefined;
  #lookTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(init: RegistryInit) {
    this.#init = init;
  }

  /** Entries that are not written as they are. */
  get unwritten(): number {
    return this.#queue.size + this.#writing;
  }

  register(kind: string, name: string, id: string): void {
    const key = this.#key(kind, name, this.#init.node);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = {
        key,
        ids: new Set(),
        changed: undefined,
        owed: false,
        stored: false,
        writing: false,
        dueAt: Number.POSITIVE_INFINITY,
      };
      this.#entries.set(key, entry);
    }
    if (entry.ids.has(id)) return;
    entry.ids.add(id);
    this.#change(entry, id);
  }

  unregister(kind: string, name: string, id: string): void {
    const entry = this.#entries.get(this.#key(kind, name, this.#init.node));
    if (entry?.ids.delete(id) === true) this.#change(entry, id);
  }

  /** @throws RpcError UNAVAILABLE when it cannot be read now. */
  async locate(kind: string, name: string): Promise<readonly Registered[]> {
    const { bucket, node: self, nodes } = this.#init;
    const found: Registered[] = [];
    const add = (node: string, ids: Iterable<string>) => {
      for (const id of ids) found.push({ node, id });
    };
    add(self, this.#entries.get(this.#key(kind, name, self))?.ids ?? []);
    const others = [...nodes];
    try {
      const values = await Promise.all(others.map((node) => bucket.read(this.#key(kind, name, node))));
      others.forEach((node, index) => {
        // It may have gone meanwhile.
        if (nodes.has(node)) add(node, decodeIds(values[index]));
      });
    } catch (error) {
      void this.#look();
      throw unavailable("the registry in NATS cannot be read", "no", error);
    }
    return found;
  }

  /** @throws as {@link KvBucket.check} does. */
  async check(): Promise<void> {
    await this.#init.bucket.check();
  }

  /** The connection is there: looks whether the bucket is, and writes what is owed. */
  async resume(): Promise<void> {
    this.#failures = 0;
    this.#scheduleLook();
    await this.#look();
  }

  /** The connection is gone: nothing is written until {@link Registry.resume}. */
  hold(): void {
    this.#held = true;
    clearTimeout(this.#repairTimer);
    this.#repairTimer = undefined;
    clearTimeout(this.#lookTimer);
  }

  close(): void {
    this.#closed = true;
    this.hold();
    clearImmediate(this.#pumpTimer);
    this.#queue.clear();
    this.#entries.clear();
  }

  #key(kind: string, name: string, node: string): string {
    return `${encodeToken(kind)}.${encodeToken(name)}.${node}`;
  }

  #change(entry: Entry, id: string): void {
    entry.changed ??= new Set();
    // Twice changed is as before.
    if (!entry.changed.delete(id)) entry.changed.add(id);
    if (entry.changed.size === 0) entry.changed = undefined;
    this.#settle(entry);
  }

  /** Queues an entry that has to be written, and forgets one of which nothing is left. */
  #settle(entry: Entry): void {
    if (entry.writing) return;
    if (entry.changed !== undefined || entry.owed) {
      const mayStayUnsaid = entry.ids.size === 0 && !entry.stored;
      if (!mayStayUnsaid) {
        this.#queue.add(entry);
        // Not at once: what follows in the same turn is written along.
        this.#pumpTimer ??= setImmediate(() => {
          this.#pumpTimer = undefined;
          this.#pump();
        });
        return;
      }
    }
    this.#queue.delete(entry);
    if (entry.ids.size === 0 && !entry.stored) this.#entries.delete(entry.key);
  }

  #pump(): void {
    for (const entry of this.#queue) {
      if (this.#held || this.#writing >= WINDOW || !this.#init.link.up) return;
      this.#queue.delete(entry);
      void this.#write(entry);
    }
  }

  async #write(entry: Entry): Promise<void> {
    const { asks, bucket } = this.#init;
    const isGone = entry.ids.size === 0;
    entry.writing = true;
    entry.changed = undefined;
    entry.owed = false;
    this.#writing++;
    try {
      const answer = await asks.one({
        subject: `${bucket.subject}.${entry.key}`,
        payload: isGone ? NOTHING : this.#encode(entry),
        headers: isGone ? purgeHeaders() : undefined,
        timeoutMs: ACK_MS,
      });
      const { error } = answer.json<{ readonly error?: { readonly description: string } }>();
      if (error !== undefined) throw unavailable(`JetStream has refused it: ${error.description}`);
      entry.stored = !isGone;
      this.#failures = 0;
      // Somewhere in the second quarter of its life, so that what was written together is not written together again.
      entry.dueAt = performance.now() + REGISTRY_TTL_MS * (0.25 + 0.25 * Math.random());
    } catch (error) {
      entry.owed = true;
      // It may have been stored all the same.
      entry.stored = true;
      this.#fail(error);
    } finally {
      entry.writing = false;
      this.#writing--;
      if (!this.#closed) {
        this.#settle(entry);
        this.#pump();
      }
    }
  }

  #encode(entry: Entry): Uint8Array {
    const { maxValue, warn } = this.#init;
    const text = new TextEncoder();
    const whole = text.encode(JSON.stringify([...entry.ids]));
    const max = maxValue();
    if (whole.byteLength <= max) return whole;
    warn("more is registered under one name than a message holds; the rest cannot be located", entry.key);
    // Every part that is left out makes it shorter by its share at least.
    let ids = [...entry.ids];
    let part = whole;
    while (part.byteLength > max) {
      ids = ids.slice(0, Math.floor((ids.length * max) / part.byteLength));
      part = text.encode(JSON.stringify(ids));
    }
    return part;
  }

  /** A write failed: looks at the bucket in a moment, and goes on then. */
  #fail(reason: unknown): void {
    this.#held = true;
    if (this.#closed || !this.#init.link.up || this.#repairTimer !== undefined) return;
    if (this.#failures === 1) this.#init.warn("the registry in NATS cannot be written; trying again", reason);
    const wait = BACKOFF_MS[Math.min(this.#failures++, BACKOFF_MS.length - 1)];
    this.#repairTimer = setTimeout(() => {
      this.#repairTimer = undefined;
      void this.#look();
    }, wait);
  }

  /** Makes the bucket when it is gone. When it is another one than before, all is written again. */
  async #look(): Promise<void> {
    if (this.#closed || !this.#init.link.up) return;
    try {
      if (await this.#init.bucket.check()) {
        for (const entry of this.#entries.values()) this.#owe(entry);
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (!this.#init.link.up) return;
    this.#held = false;
    this.#pump();
  }

  #owe(entry: Entry): void {
    entry.owed = true;
    // A marker for a key that is not there would be of no use.
    if (entry.ids.size === 0 && !entry.writing) entry.stored = false;
    this.#settle(entry);
  }

  #scheduleLook(): void {
    clearTimeout(this.#lookTimer);
    this.#lookTimer = setTimeout(
      () => {
        this.#scheduleLook();
        void this.#look();
        const now = performance.now();
        for (const entry of this.#entries.values()) {
          if (entry.dueAt > now) continue;
          entry.dueAt = Number.POSITIVE_INFINITY;
          entry.owed = true;
          this.#settle(entry);
        }
      },
      LOOK_MS * (0.85 + 0.3 * Math.random()),
    );
  }
}

function purgeHeaders() {
  const made = headers();
  made.set(KV_OPERATION, "PURGE");
  made.set("Nats-Rollup", "sub");
  return made;
}

function decodeIds(value: Uint8Array | undefined): string[] {
  if (value === undefined) return [];
  try {
    const ids: unknown = JSON.parse(new TextDecoder().decode(value));
    return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
  } catch {
    // Somebody else's.
    return [];
  }
}
