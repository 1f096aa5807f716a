/** How long a node's key lives that it does not write again. */
export const NODE_TTL_MS = 10_000;

/** A node that was not heard of for so long is gone. Longer than the TTL: others may have read its key at the very end. */
export const GONE_MS = 12_000;

/** Who does not hear its own messages for so long, hears nothing of others either. */
const DEAF_MS = 7_500;

/** How often {@link Nodes.sweep} is called. */
export const SWEEP_MS = 1_000;

/** A sweep that comes later than this was held up: so was what others have said meanwhile. */
const LATE_MS = 3_000;

/**
 * Who is alive. Times are milliseconds of this node's own clock, that only goes forward: clocks of different nodes are not
 * compared.
 */
export class Nodes {
  /** Other nodes. */
  readonly alive: Set<string> = new Set();
  readonly #self: string;
  /** When each was last heard of. */
  readonly #heard = new Map<string, number>();
  #selfHeard: number;
  #swept: number;

  constructor(self: string, now: number) {
    this.#self = self;
    this.#selfHeard = now;
    this.#swept = now;
  }

  /** A node has said that it is there. Returns whether it is one that was not known to be. */
  heard(node: string, now: number): boolean {
    if (node === this.#self) {
      this.#selfHeard = now;
      return false;
    }
    this.#heard.set(node, now);
    if (this.alive.has(node)) return false;
    this.alive.add(node);
    return true;
  }

  /** A node has said that it leaves. Returns whether it was known. */
  left(node: string): boolean {
    this.#heard.delete(node);
    return this.alive.delete(node);
  }

  /** Whether this node does not hear itself, so that it cannot know of others. */
  isDeaf(now: number): boolean {
    return now - this.#selfHeard > DEAF_MS;
  }

  /** Nobody could be heard until now: all have their full time again. */
  excuse(now: number): void {
    this.#selfHeard = now;
    this.#excuseOthers(now);
  }

  /** Returns those that are gone. To be called every {@link SWEEP_MS} while the connection is up. */
  sweep(now: number): string[] {
    const isLate = now - this.#swept > LATE_MS;
    this.#swept = now;
    // This process stood still, or the server does: nobody else can be blamed.
    if (isLate) this.excuse(now);
    else if (this.isDeaf(now)) this.#excuseOthers(now);
    const gone = [...this.#heard].filter(([, at]) => now - at > GONE_MS).map(([node]) => node);
    for (const node of gone) this.left(node);
    return gone;
  }

  #excuseOthers(now: number): void {
    for (const node of this.#heard.keys()) this.#heard.set(node, now);
  }
}
