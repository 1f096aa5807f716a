import type { Subscription } from "@nats-io/transport-node";
import type { Asks } from "./asks.js";
import { Batched } from "./batched.js";
import type { NatsLink } from "./connection.js";

/** Nodes that have not answered by then are dead, or stand still; what is sent to them has time to be known everywhere. */
const PATIENCE_MS = 2_000;

const NOTHING = new Uint8Array(0);

/** What a {@link Barrier} needs. */
export interface BarrierInit {
  readonly link: NatsLink;
  readonly asks: Asks;
  /** Where all nodes hear it. */
  readonly subject: string;
  readonly node: string;
  /** Other nodes that are alive. */
  readonly nodes: ReadonlySet<string>;
}

/**
 * Tells when a subscription is known everywhere. The answer to a flush means that our own server knows it, and other servers
 * of the cluster may still drop what is for it. But what goes to them on the same route comes after it: when all nodes have
 * answered a question, so have all servers that they are connected to.
 */
export class Barrier {
  readonly #init: BarrierInit;
  readonly #name: Uint8Array;
  readonly #subscription: Subscription;
  readonly #rounds = new Batched(() => this.pass(PATIENCE_MS));

  constructor(init: BarrierInit) {
    this.#init = init;
    this.#name = new TextEncoder().encode(init.node);
    this.#subscription = init.link.connection.subscribe(init.subject, {
      callback: (error, message) => {
        if (error !== null || !init.link.up) return;
        try {
          message.respond(this.#name);
        } catch {
          // The connection is closing. The client would stop to read if this threw.
        }
      },
    });
  }

  /**
   * Resolves when what was subscribed to before is known to the servers of all nodes. All who wait share one round.
   *
   * @throws RpcError UNAVAILABLE when the connection breaks.
   */
  wait(): Promise<void> {
    return this.#rounds.next();
  }

  /** The same, in a round of its own, and with this patience. */
  async pass(timeoutMs: number): Promise<void> {
    const { asks, subject, node, nodes } = this.#init;
    const answered = new Set<string>();
    let seen = 0;
    await asks.all({ subject, payload: NOTHING, timeoutMs }, (answers) => {
      for (; seen < answers.length; seen++) answered.add(answers[seen]?.string() ?? "");
      // This node answers too, and by that says what a flush would: our own server has come as far.
      return answered.has(node) && [...nodes].every((other) => answered.has(other));
    });
  }

  close(): void {
    this.#subscription.unsubscribe();
  }
}
