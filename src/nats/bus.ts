import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import { RpcError } from "../base/error.js";
import type { BrokerHost } from "../broker/broker.js";
import {
  type Address,
  type Bus,
  type BusEvents,
  type BusMessage,
  type Listener,
  REST,
  type Registered,
} from "../broker/bus.js";
import { destination, lastPart, listenSubject } from "./address.js";
import { Asks } from "./asks.js";
import { checkSize, NatsMessage } from "./bus-message.js";
import { NatsLink } from "./connection.js";
import { publishError, unavailable } from "./errors.js";
import { JetStreamApi, JetStreamRefusal } from "./jetstream-api.js";
import { KvBucket } from "./kv-bucket.js";
import { Membership } from "./membership.js";
import { REGISTRY_TTL_MS, Registry } from "./registry.js";
import { Replies } from "./replies.js";

/** How a {@link NatsBus} uses NATS. */
export interface NatsBusOptions {
  /** First token of all subjects, and beginning of the names of the buckets: letters, digits, `_` and `-`. */
  readonly prefix: string;
  /** Copies of the buckets: 3 outlive a server. */
  readonly replicas: number;
  /** As in the options of the connection. Default `_INBOX`. */
  readonly inboxPrefix?: string | undefined;
}

/** What headers take of a message at most. */
const HEADER_BYTES = 8_192;

/** With less the bus would be of no use. */
const LEAST_PAYLOAD = 65_536;

/** How often it is tried to start while JetStream does not answer. */
const RETRY_MS = 250;

/** JetStream's codes for: not enabled for this account, not enabled. */
const NOT_ENABLED: readonly number[] = [10_039, 10_076];

/**
 * Messages between nodes over NATS: publications of core NATS for messages, and two KV buckets, `<prefix>-nodes` and
 * `<prefix>-registry`, for what has to be known of nodes.
 *
 * The connection stays open when the bus is closed. It must not have `noEcho`, for a node hears what it sends itself, and
 * should never give up: `maxReconnectAttempts: -1`.
 */
export class NatsBus implements Bus {
  readonly node: string;
  readonly #host: BrokerHost;
  readonly #root: string;
  readonly #link: NatsLink;
  readonly #unlink: () => void;
  readonly #replies: Replies;
  readonly #asks: Asks;
  readonly #members: Membership;
  readonly #registry: Registry;
  readonly #listening = new Set<Subscription>();
  #maxPayload = 1_048_576 - HEADER_BYTES;
  #state: "new" | "open" | "closed" = "new";

  constructor(connection: NatsConnection, host: BrokerHost, options: NatsBusOptions) {
    const { prefix, replicas } = options;
    const { node } = host;
    if (!/^[A-Za-z0-9_-]+$/.test(node)) throw new TypeError(`${node} cannot be the name of a node`);
    const warn = host.warn.bind(host);
    const link = new NatsLink(connection, false, options.inboxPrefix);
    const api = new JetStreamApi(link);
    this.node = node;
    this.#host = host;
    this.#root = `${prefix}.b`;
    this.#link = link;
    this.#unlink = link.onChange((up) => this.#onLink(up));
    this.#replies = new Replies(link);
    const asks = new Asks(link, this.#replies);
    this.#asks = asks;
    this.#members = new Membership({ link, asks, api, node, prefix, replicas, warn });
    this.#registry = new Registry({
      link,
      asks,
      node,
      nodes: this.#members.nodes,
      warn,
      maxValue: () => this.#maxPayload,
      bucket: new KvBucket(api, {
        name: `${prefix}-registry`,
        description: "what is on which node of Hawser",
        ttlMs: REGISTRY_TTL_MS,
        storage: "file",
        replicas,
      }),
    });
    this.#members.watch({
      onUp: (up) => {
        if (up) void this.#registry.resume();
        else this.#registry.hold();
      },
      // It need not be waited for any more.
      onNodeGone: () => asks.look(),
    });
  }

  get nodes(): ReadonlySet<string> {
    return this.#members.nodes;
  }

  get up(): boolean {
    return this.#members.up;
  }

  get maxPayload(): number {
    return this.#maxPayload;
  }

  /** Names in the registry that are not written as they are. */
  get unwritten(): number {
    return this.#registry.unwritten;
  }

  /**
   * Joins the other nodes. Waits while NATS cannot be reached.
   *
   * @throws Error when it never will be possible: there is no JetStream, or its limits are too narrow.
   */
  async start(): Promise<void> {
    if (this.#state !== "new") throw new Error("the bus was started before");
    this.#state = "open";
    for (let attempt = 1; ; attempt++) {
      try {
        this.#readLimits();
        // A cluster takes some time to choose a leader for each.
        await Promise.all([this.#members.check(), this.#registry.check()]);
        break;
      } catch (error) {
        const reason = this.#finalReason(error);
        if (reason !== undefined) {
          await this.close();
          throw reason;
        }
        if (attempt === 1) this.#host.warn("JetStream cannot be used yet; trying again", error);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    await this.#members.join();
  }

  watch(events: BusEvents): () => void {
    return this.#members.watch(events);
  }

  /** {@link Listener.ready} waits as long as other nodes cannot be reached. */
  listen(address: Address, onMessage: (message: BusMessage) => void): Listener {
    const isRest = address.at(-1) === REST;
    const subscription = this.#subscribe(listenSubject(this.#root, address), (message) => {
      const last = isRest ? lastPart(message) : undefined;
      // Of another application.
      if (isRest && last === undefined) return;
      onMessage(new NatsMessage(message, last === undefined ? [] : [last], this.#link, this.#maxPayload));
    });
    return {
      ready: this.#members.known(() => subscription.isClosed()),
      close: () => {
        this.#listening.delete(subscription);
        subscription.unsubscribe();
      },
    };
  }

  send(address: Address, payload: Uint8Array): void {
    this.#check(payload);
    const { subject, headers } = destination(this.#root, address);
    try {
      if (headers === undefined) this.#link.connection.publish(subject, payload);
      else this.#link.connection.publish(subject, payload, { headers });
    } catch (error) {
      throw publishError(error);
    }
  }

  async ask(address: Address, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    this.#check(payload);
    return (await this.#asks.one({ ...destination(this.#root, address), payload, timeoutMs })).data;
  }

  async askAll(address: Address, payload: Uint8Array, timeoutMs: number): Promise<readonly Uint8Array[]> {
    this.#check(payload);
    const question = { ...destination(this.#root, address), payload, timeoutMs };
    const answers = await this.#asks.all(question, ({ length }) => length > this.nodes.size);
    return answers.map(({ data }) => data);
  }

  register(kind: string, name: string, id: string): void {
    if (this.#state !== "closed") this.#registry.register(kind, name, id);
  }

  unregister(kind: string, name: string, id: string): void {
    this.#registry.unregister(kind, name, id);
  }

  async locate(kind: string, name: string): Promise<readonly Registered[]> {
    if (!this.up) throw down();
    return this.#registry.locate(kind, name);
  }

  /** Leaves: other nodes know at once. What is registered here counts no longer. */
  async close(): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#unlink();
    for (const subscription of this.#listening) subscription.unsubscribe();
    this.#listening.clear();
    this.#registry.close();
    this.#members.close();
    // What was said last goes out.
    await this.#link.close();
    this.#asks.close();
    this.#replies.close();
  }

  #readLimits(): void {
    const { info } = this.#link.connection;
    if (info === undefined) return;
    if (info.max_payload < LEAST_PAYLOAD) {
      throw new Error(
        `max_payload of the NATS server is ${info.max_payload}; at least ${LEAST_PAYLOAD} is needed`,
      );
    }
    this.#maxPayload = info.max_payload - HEADER_BYTES;
  }

  /** Why it would be in vain to try again to start. */
  #finalReason(error: unknown): unknown {
    if (this.#state === "closed") return unavailable("the bus was closed", "no", error);
    if (!(error instanceof RpcError)) return error;
    const { cause } = error;
    const hasNone = this.#link.up && this.#link.connection.info?.jetstream !== true;
    const isRefused = cause instanceof JetStreamRefusal && NOT_ENABLED.includes(cause.errorCode);
    if (!hasNone && !isRefused) return undefined;
    return new Error("the NATS server has no JetStream, or it is not enabled for this account", {
      cause: error,
    });
  }

  #onLink(up: boolean): void {
    if (up) {
      // The server may be another one now. Its limits are not worth to end for.
      this.#maxPayload = Math.max(0, (this.#link.connection.info?.max_payload ?? 0) - HEADER_BYTES);
    } else this.#asks.lose();
    this.#members.onLink(up);
  }

  #subscribe(subject: string, deliver: (message: Msg) => void): Subscription {
    if (this.#state === "closed") throw unavailable("cannot listen: the bus was closed");
    try {
      const subscription = this.#link.connection.subscribe(subject, {
        callback: (error, message) => {
          if (error !== null) {
            this.#host.warn(`cannot listen at ${subject}`, error);
            return;
          }
          // The client would stop to read if this threw.
          try {
            deliver(message);
          } catch (thrown) {
            this.#host.warn(`a message at ${subject} was not handled`, thrown);
          }
        },
      });
      this.#listening.add(subscription);
      return subscription;
    } catch (error) {
      throw unavailable("cannot listen: the connection to NATS is closed", "no", error);
    }
  }

  #check(payload: Uint8Array): void {
    if (!this.up) throw down();
    checkSize(payload, this.#maxPayload);
  }
}

function down(): RpcError {
  return unavailable("other nodes cannot be reached: there is no connection to NATS");
}
