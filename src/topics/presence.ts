import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type NodePresence, NodePresenceSchema } from "../../gen/hawser/v1/cluster_pb.js";
import { type PresenceMember, PresenceMemberSchema } from "../../gen/hawser/v1/presence_pb.js";
import type { Clock } from "../base/clock.js";
import type { FeedEvents } from "../broker/broker.js";
import type { Bus, Listener } from "../broker/bus.js";
import type { SessionInfo } from "../rpc/context.js";
import { NodeMembers } from "./node-members.js";
import { PresenceFeed, type PresenceSource } from "./presence-feed.js";

/** What {@link Presence} needs of its server. */
export interface PresenceInit {
  /** Names this run of this node. */
  readonly epoch: string;
  readonly clock: Clock;
  /** Milliseconds since the epoch. */
  readonly wallClock: Clock;
  readonly after: (delayMs: number, task: () => void) => () => void;
  readonly onError: (error: unknown, where: string) => void;
}

/** Other nodes have this long to say who is with them. */
const ANSWER_MS = 2_000;
/** What nodes have told is compared with what they know this often: a message may have been lost. */
const COMPARE_MS = 30_000;

const QUERY = ["presence-query"];

/** A topic whose presence is followed on this node. */
interface Followed {
  readonly feed: PresenceFeed;
  /** `undefined` as long as there are no other nodes. */
  listener: Listener | undefined;
  /** What other nodes have told, by their names. */
  readonly nodes: Map<string, NodeMembers>;
}

/** Who is subscribed to topics, on this node and on the others. */
export class Presence implements PresenceSource {
  readonly epoch: string;
  readonly #init: PresenceInit;
  /** Of this node, by topic. */
  readonly #own = new Map<string, NodeMembers>();
  readonly #followed = new Map<string, Followed>();
  #stop: (() => void)[] = [];
  #stopComparing: (() => void) | undefined;
  #bus: Bus | undefined;
  #version = 0;

  constructor(init: PresenceInit) {
    this.#init = init;
    this.epoch = init.epoch;
  }

  /** There are other nodes. */
  connect(bus: Bus): void {
    this.#bus = bus;
    const queries = bus.listen(QUERY, (query) => {
      query.reply(this.#answer(new TextDecoder().decode(query.payload)));
    });
    this.#stop = [
      () => queries.close(),
      bus.watch({
        onNode: () => this.#compareAll(),
        onNodeGone: (node) => this.#gone(node),
        onUp: (up) => {
          for (const { feed } of this.#followed.values()) feed.live(up);
          if (up) this.#compareAll();
        },
      }),
    ];
    // What was asked for before nodes could be heard.
    for (const [topic, followed] of this.#followed) followed.listener ??= this.#listen(topic);
    this.#compareAll();
    this.#compareSoon();
  }

  now(): number {
    return this.#init.clock();
  }

  // ---- this node -----------------------------------------------------------------------------------------------

  /**
   * What others get to know of a session that comes to a topic. One that is there already is not asked for.
   *
   * @throws what `ask` throws, or TypeError when it gives something else
   */
  infoOf(
    topic: string,
    session: SessionInfo,
    ask: (session: SessionInfo) => Readonly<Record<string, string>>,
  ): Readonly<Record<string, string>> {
    if (this.#own.get(topic)?.has(session.id) === true) return {};
    const info = ask(session);
    for (const [name, value] of Object.entries(info))
      if (typeof value !== "string")
        throw new TypeError(`presence.info: ${name} must be a string, not ${typeof value}`);
    return info;
  }

  /** A call of a session is attached to a topic. @param info as {@link Presence.infoOf} gave it */
  join(topic: string, { id, identity }: SessionInfo, info: Readonly<Record<string, string>>): void {
    let own = this.#own.get(topic);
    if (own === undefined) {
      own = new NodeMembers();
      this.#own.set(topic, own);
    }
    const member = create(PresenceMemberSchema, {
      session: id,
      identity: identity?.id ?? "",
      info,
      sinceMs: BigInt(Math.round(this.#init.wallClock())),
    });
    if (own.add(member)) this.#tell(topic, own, [member], []);
  }

  /** It is not any more. */
  leave(topic: string, { id }: SessionInfo): void {
    const own = this.#own.get(topic);
    const member = own?.remove(id);
    if (own === undefined || member === undefined) return;
    this.#tell(topic, own, [], [member]);
    if (own.size === 0) this.#own.delete(topic);
  }

  /** Who is subscribed now, on all nodes. */
  async list(topic: string): Promise<readonly PresenceMember[]> {
    if (this.#followed.has(topic) || this.#bus === undefined) return this.members(topic);
    const answers = await this.#ask(topic);
    const others = answers.filter(({ node }) => node !== this.#bus?.node);
    return [...(this.#own.get(topic) ?? []), ...others.flatMap(({ joined }) => joined)];
  }

  /** The presence of a topic, as a topic. */
  async follow(topic: string, events: FeedEvents): Promise<PresenceFeed> {
    const feed = new PresenceFeed(topic, this, events);
    const listener = this.#listen(topic);
    // One that its hub has given up while it was still waiting for the others.
    this.#end(topic);
    this.#followed.set(topic, { feed, listener, nodes: new Map() });
    await listener?.ready;
    if (listener !== undefined) await this.#compare(topic);
    return feed;
  }

  members(topic: string): readonly PresenceMember[] {
    const others = [...(this.#followed.get(topic)?.nodes.values() ?? [])];
    return [...(this.#own.get(topic) ?? []), ...others.flatMap((members) => [...members])];
  }

  closed(topic: string, feed: PresenceFeed): void {
    if (this.#followed.get(topic)?.feed === feed) this.#end(topic);
  }

  close(): void {
    this.#stopComparing?.();
    for (const stop of this.#stop) stop();
    this.#stop = [];
    for (const topic of [...this.#followed.keys()]) this.#end(topic);
  }

  #listen(topic: string): Listener | undefined {
    return this.#bus?.listen(["presence", topic], ({ payload }) =>
      this.#onDelta(fromBinary(NodePresenceSchema, payload)),
    );
  }

  #end(topic: string): void {
    this.#followed.get(topic)?.listener?.close();
    this.#followed.delete(topic);
  }

  #tell(topic: string, own: NodeMembers, joined: PresenceMember[], left: PresenceMember[]): void {
    this.#followed.get(topic)?.feed.changed(joined, left);
    const previous = BigInt(own.version);
    own.version = ++this.#version;
    const bus = this.#bus;
    if (bus === undefined || !bus.up) return;
    const message = { node: bus.node, topic, version: BigInt(own.version), previous, joined, left };
    try {
      bus.send(["presence", topic], toBinary(NodePresenceSchema, create(NodePresenceSchema, message)));
    } catch (error) {
      // Found out by others when they compare.
      this.#init.onError(error, "telling other nodes who is there");
    }
  }

  // ---- other nodes ---------------------------------------------------------------------------------------------

  #answer(topic: string): Uint8Array {
    const own = this.#own.get(topic);
    const message = {
      node: this.#bus?.node ?? "",
      topic,
      version: BigInt(own?.version ?? this.#version),
      whole: true,
      joined: [...(own ?? [])],
    };
    return toBinary(NodePresenceSchema, create(NodePresenceSchema, message));
  }

  async #ask(topic: string): Promise<NodePresence[]> {
    const answers = await this.#bus?.askAll(QUERY, new TextEncoder().encode(topic), ANSWER_MS);
    return (answers ?? []).map((bytes) => fromBinary(NodePresenceSchema, bytes));
  }

  #onDelta(told: NodePresence): void {
    const followed = this.#followed.get(told.topic);
    if (followed === undefined || told.node === this.#bus?.node) return;
    const members = followed.nodes.get(told.node) ?? new NodeMembers();
    followed.nodes.set(told.node, members);
    const change = members.take(told);
    if (change === undefined) void this.#compare(told.topic);
    else if (change.joined.length + change.left.length > 0) followed.feed.changed(change.joined, change.left);
  }

  #gone(node: string): void {
    for (const { feed, nodes } of this.#followed.values()) {
      const members = nodes.get(node);
      if (members === undefined) continue;
      nodes.delete(node);
      if (members.size > 0) feed.changed([], [...members]);
    }
  }

  async #compare(topic: string): Promise<void> {
    try {
      for (const answer of await this.#ask(topic)) this.#onDelta(answer);
    } catch (error) {
      this.#init.onError(error, `asking other nodes who is subscribed to "${topic}"`);
    }
  }

  #compareAll(): void {
    for (const topic of this.#followed.keys()) void this.#compare(topic);
  }

  #compareSoon(): void {
    this.#stopComparing = this.#init.after(COMPARE_MS, () => {
      if (this.#bus?.up === true) this.#compareAll();
      this.#compareSoon();
    });
  }
}
