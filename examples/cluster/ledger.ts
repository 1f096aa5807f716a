import { gapBefore } from "hawser/client";
import type { WatchResponse } from "../../gen/hawser/cluster/v1/cluster_pb.js";
import type { Acknowledged } from "./cluster.js";

/** What has arrived of one run of one node. */
interface Run {
  last: number;
  /** Gaps that were told until then. */
  gaps: number;
}

/** Compares what was published with what has arrived. */
export class Ledger {
  messages = 0;
  /** Gaps that the subscriber was told of. */
  gaps = 0;
  /** What must not be, the first of it. */
  readonly faults: string[] = [];
  readonly #whole: boolean;
  readonly #arrived = new Map<string, Run>();
  readonly #acknowledged = new Map<string, number>();

  /** @param whole The subscriber has been there from the beginning, so that every run has to begin with 1. */
  constructor(whole: boolean) {
    this.#whole = whole;
  }

  /** Runs of nodes of which something has arrived. */
  get runs(): number {
    return this.#arrived.size;
  }

  /** Publications of which the nodes know that they are stored. */
  get acknowledged(): number {
    return [...this.#acknowledged.values()].reduce((sum, last) => sum + last, 0);
  }

  /** What was acknowledged and has not arrived, and was not in a gap that was told. */
  get missing(): number {
    let missing = 0;
    for (const [run, last] of this.#acknowledged) {
      const arrived = this.#arrived.get(run) ?? { last: 0, gaps: 0 };
      if (arrived.gaps === this.gaps) missing += Math.max(0, last - arrived.last);
    }
    return missing;
  }

  /** A node knows that this is stored. Each run publishes one after the other: so is everything before it. */
  stored({ node, run, number }: Acknowledged): void {
    this.#acknowledged.set(`${node} ${run}`, number);
  }

  /** The subscriber has got this. */
  arrived(message: WatchResponse): void {
    const { node, run, number } = message;
    this.messages++;
    if (gapBefore(message) !== undefined) this.gaps++;
    const name = `${node} ${run}`;
    const known = this.#arrived.get(name);
    if (known === undefined) {
      if (this.#whole && number !== 1 && this.gaps === 0) this.#fault(`${name} begins with ${number}`);
    } else if (number <= known.last) {
      this.#fault(`${name}: ${number} after ${known.last}`);
    } else if (number > known.last + 1 && known.gaps === this.gaps) {
      this.#fault(`${name}: ${number} after ${known.last}, and no gap was told`);
    }
    this.#arrived.set(name, { last: number, gaps: this.gaps });
  }

  #fault(what: string): void {
    if (this.faults.length < 10) this.faults.push(what);
  }
}
