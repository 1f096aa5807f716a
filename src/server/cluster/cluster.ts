import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AddressedResultSchema,
  AddressedSchema,
  type PipeOpen,
  type RelayedLink,
} from "../../../gen/hawser/v1/cluster_pb.js";
import { CloseCode } from "../../base/close.js";
import { hex } from "../../base/hex.js";
import type { Bus, Listener } from "../../broker/bus.js";
import type { BroadcastLink } from "../../driver/link.js";
import type { Identity } from "../../rpc/context.js";
import type { HelloFrame } from "../../wire/frame.js";
import type { UpgradeInfo } from "../authentication.js";
import type { ServerSession } from "../session.js";
import type { Sessions } from "../sessions.js";
import { Bridges } from "./bridge.js";
import type { Pipe } from "./pipe.js";
import { type PipeRefusal, Pipes } from "./pipes.js";
import { RelayedSession, relayedLink, takeRelayed } from "./relay.js";

/** Whom something is for: all sessions of an identity, or one session. */
export type Target = { readonly identity: string } | { readonly session: string };

/** Nodes have this long to say to how many a publication went. */
const ANSWER_MS = 5_000;

/**
 * After other nodes could not be reached, or can be reached again, for so long it is not taken for certain that a node which does not
 * answer is gone.
 */
const SETTLE_MS = 10_000;

/** What this node does together with the others. */
export class Cluster {
  readonly bus: Bus;
  readonly pipes: Pipes;
  readonly bridges: Bridges;
  readonly #sessions: Sessions;
  readonly #addressed: Listener;
  readonly #relayed = new Set<RelayedSession>();
  readonly #stopWatching: () => void;
  #changedAt: number = Number.NEGATIVE_INFINITY;
  #draining = false;

  constructor(bus: Bus, sessions: Sessions) {
    this.bus = bus;
    this.#sessions = sessions;
    this.pipes = new Pipes(bus, sessions.timers, (open, pipe) => this.#onOpen(open, pipe));
    this.bridges = new Bridges(this.pipes, sessions);
    this.#addressed = bus.listen(["node", bus.node, "addressed"], (asked) => {
      const { topic, to, payload } = fromBinary(AddressedSchema, asked.payload);
      if (to.case === undefined) return;
      const target = to.case === "identity" ? { identity: to.value } : { session: to.value };
      const recipients = sessions.hub.sendTo(topic, target, payload);
      asked.reply(toBinary(AddressedResultSchema, create(AddressedResultSchema, { recipients })));
    });
    for (const session of sessions) this.opened(session);
    this.#stopWatching = bus.watch({
      onUp: () => {
        this.#changedAt = sessions.timers.clock();
      },
    });
  }

  /** Sessions are not taken over from here on. */
  drain(): void {
    this.#draining = true;
  }

  close(code: number, reason: string): void {
    this.pipes.close(code, reason);
    this.#addressed.close();
    this.#stopWatching();
  }

  // ---- where sessions are --------------------------------------------------------------------------------------

  opened({ id, identity }: ServerSession): void {
    this.bus.register("session", id, id);
    if (identity !== undefined) this.bus.register("identity", identity.id, id);
  }

  ended({ id, identity }: ServerSession): void {
    this.bus.unregister("session", id, id);
    if (identity !== undefined) this.bus.unregister("identity", identity.id, id);
  }

  /** Other nodes on which there are sessions of somebody, and which those are. */
  async locate(target: Target): Promise<ReadonlyMap<string, readonly string[]>> {
    const [kind, name] =
      "session" in target ? (["session", target.session] as const) : (["identity", target.identity] as const);
    const byNode = new Map<string, string[]>();
    for (const { node, id } of await this.bus.locate(kind, name)) {
      if (node === this.bus.node) continue;
      const ids = byNode.get(node);
      if (ids === undefined) byNode.set(node, [id]);
      else ids.push(id);
    }
    return byNode;
  }

  /** Publishes to the sessions that somebody has on other nodes. To how many it went. */
  async sendTo(topic: string, target: Target, payload: Uint8Array): Promise<number> {
    const to =
      "session" in target
        ? ({ case: "session", value: target.session } as const)
        : ({ case: "identity", value: target.identity } as const);
    const message = toBinary(AddressedSchema, create(AddressedSchema, { topic, to, payload }));
    const nodes = [...(await this.locate(target)).keys()];
    const answers = nodes.map((node) => this.bus.ask(["node", node, "addressed"], message, ANSWER_MS));
    const counts = (await Promise.all(answers)).map(
      (bytes) => fromBinary(AddressedResultSchema, bytes).recipients,
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  // ---- links of sessions on other nodes ------------------------------------------------------------------------

  /**
   * Passes a link to the node that has its session. `"gone"`: the node is not there, or has not got the session any more.
   * `"later"`: nobody can tell at the moment.
   */
  async relay(
    hello: HelloFrame,
    identity: Identity | undefined,
    link: BroadcastLink,
    info: UpgradeInfo,
  ): Promise<RelayedSession | "gone" | "later"> {
    if (!this.bus.up) return this.#isUnsettled ? "later" : "gone";
    let value: RelayedLink;
    try {
      value = relayedLink(hello, identity, info);
    } catch (error) {
      this.#sessions.settings.logger.error("hawser: claims of an identity cannot go to another node:", error);
      return "gone";
    }
    try {
      const pipe = await this.pipes.open(hex(hello.epoch), { case: "link", value });
      if ("refused" in pipe) return "gone";
      const relayed: RelayedSession = new RelayedSession(link, pipe, () => this.#relayed.delete(relayed));
      this.#relayed.add(relayed);
      relayed.start();
      return relayed;
    } catch {
      // It is not there, or does not answer. It may be on its way back to the others itself, when they all were cut off.
      return this.#isUnsettled ? "later" : "gone";
    }
  }

  /** Links whose sessions are on other nodes. */
  get relayed(): Iterable<RelayedSession> {
    return this.#relayed;
  }

  /** Whether the nodes have lost each other a moment ago, or have just come together again. */
  get #isUnsettled(): boolean {
    return this.#sessions.timers.clock() - this.#changedAt < SETTLE_MS;
  }

  #onOpen({ what }: PipeOpen, pipe: Pipe): PipeRefusal | undefined {
    if (this.#draining) return { refused: CloseCode.goingAway, reason: "the node is going away" };
    if (what.case === "link") return takeRelayed(this.#sessions, what.value, pipe);
    if (what.case === "session") return this.bridges.take(what.value, pipe);
    return { refused: CloseCode.policy, reason: "this node does not know what the pipe is for" };
  }
}
