import type { BusEvents } from "../broker/bus.js";
import type { Asks } from "./asks.js";
import { Barrier } from "./barrier.js";
import type { NatsLink } from "./connection.js";
import { Heartbeat } from "./heartbeat.js";
import type { JetStreamApi } from "./jetstream-api.js";
import { KvBucket } from "./kv-bucket.js";
import { NODE_TTL_MS, Nodes, SWEEP_MS } from "./nodes.js";

/** After a connection was made again, other nodes have so long to show that they can reach this one. */
const RETURN_MS = 500;

/** So long it is waited before the barrier is tried again. */
const RETRY_MS = 50;

/** What a {@link Membership} needs. */
export interface MembershipInit {
  readonly link: NatsLink;
  readonly asks: Asks;
  readonly api: JetStreamApi;
  readonly node: string;
  readonly prefix: string;
  readonly replicas: number;
  warn(message: string, ...details: unknown[]): void;
}

/** This node among the others: who they are, and whether they and this one can reach each other. */
export class Membership {
  readonly #init: MembershipInit;
  readonly #nodes: Nodes;
  readonly #bucket: KvBucket;
  readonly #barrier: Barrier;
  readonly #heartbeat: Heartbeat;
  readonly #watchers = new Set<BusEvents>();
  /** Who waits until it is up. */
  #waiting: (() => void)[] = [];
  #sweeper: NodeJS.Timeout | undefined;
  #up = false;
  /** The connection is there, but nothing comes back. */
  #deaf = false;
  /** Counts attempts to come back. */
  #returns = 0;
  #closed = false;

  constructor(init: MembershipInit) {
    const { api, link, asks, node, prefix, replicas, warn } = init;
    this.#init = init;
    this.#nodes = new Nodes(node, performance.now());
    this.#bucket = new KvBucket(api, {
      name: `${prefix}-nodes`,
      description: "nodes of Hawser that are alive",
      ttlMs: NODE_TTL_MS,
      storage: "memory",
      replicas,
    });
    this.#barrier = new Barrier({ link, asks, node, nodes: this.nodes, subject: `${prefix}.p` });
    this.#heartbeat = new Heartbeat({
      link,
      asks,
      node,
      warn,
      bucket: this.#bucket,
      onBeat: (from) => this.#onBeat(from),
      onFarewell: (from) => {
        if (this.#nodes.left(from)) this.#tellGone(from);
      },
    });
  }

  /** Other nodes that are alive. */
  get nodes(): ReadonlySet<string> {
    return this.#nodes.alive;
  }

  /** Whether they can be reached. */
  get up(): boolean {
    return this.#up && this.#init.link.up;
  }

  /** Makes the bucket when it is missing. @throws as {@link KvBucket.check} does. */
  async check(): Promise<void> {
    await this.#bucket.check();
  }

  /** Joins the others. */
  async join(): Promise<void> {
    await this.#heartbeat.start();
    try {
      for (const node of await this.#heartbeat.present()) this.#onBeat(node);
    } catch {
      // They will be heard within seconds.
    }
    if (this.#closed) return;
    this.#nodes.excuse(performance.now());
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
    await this.#return();
  }

  watch(events: BusEvents): () => void {
    this.#watchers.add(events);
    for (const node of this.nodes) events.onNode?.(node);
    return () => {
      this.#watchers.delete(events);
    };
  }

  /** Resolves when the servers of all nodes know of what was subscribed to before, or when it does not matter any more. */
  async known(isOver: () => boolean): Promise<void> {
    while (!this.#closed && !isOver()) {
      if (!this.up) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
        continue;
      }
      try {
        await this.#barrier.wait();
        return;
      } catch {
        // The connection broke. Once it is back, all is subscribed to again. One that is being drained fails at once and
        // every time, and does not say yet that it ends.
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  /** The connection broke, or is back. */
  onLink(up: boolean): void {
    // Before it has joined, that goes on by itself.
    if (this.#sweeper === undefined || this.#closed) return;
    if (up) void this.#return();
    else this.#setUp(false);
  }

  /** Says farewell. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#sweeper);
    this.#watchers.clear();
    this.#heartbeat.close();
    this.#barrier.close();
    this.#up = false;
    this.#wake();
  }

  /** The connection is there: joins the others again. */
  async #return(): Promise<void> {
    const attempt = ++this.#returns;
    const { link } = this.#init;
    this.#deaf = false;
    this.#nodes.excuse(performance.now());
    void this.#heartbeat.beat();
    try {
      await this.#barrier.pass(RETURN_MS);
    } catch {
      // It broke again: the next attempt follows when it is back.
    }
    if (attempt === this.#returns && !this.#closed && link.up) this.#setUp(true);
  }

  #onBeat(node: string): void {
    if (this.#nodes.heard(node, performance.now())) this.#tell((events) => events.onNode?.(node));
    if (node === this.#init.node && this.#deaf) void this.#return();
  }

  #sweep(): void {
    if (!this.#init.link.up) return;
    const now = performance.now();
    for (const node of this.#nodes.sweep(now)) this.#tellGone(node);
    if (!this.#up || !this.#nodes.isDeaf(now)) return;
    // Connected, as it seems, but the server stands still.
    this.#deaf = true;
    this.#setUp(false);
  }

  #setUp(up: boolean): void {
    if (this.#up === up) return;
    this.#up = up;
    this.#tell((events) => events.onUp?.(up));
    if (up) this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #tellGone(node: string): void {
    this.#tell((events) => events.onNodeGone?.(node));
  }

  #tell(what: (events: BusEvents) => void): void {
    for (const events of [...this.#watchers]) {
      try {
        what(events);
      } catch (error) {
        this.#init.warn("a watcher of nodes has failed", error);
      }
    }
  }
}
