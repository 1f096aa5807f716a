import type { TimerItem, Timers } from "../driver/timers.js";

const NEVER = Number.POSITIVE_INFINITY;

/** What is to happen to a link at some time. */
export type LinkEvent = "refresh" | "expire" | "rotate" | "look" | "idle";

/** All that is planned for a session's link, as one item of the timers: servers have many of them. */
export class LinkPlan implements TimerItem {
  dueAt: number = NEVER;
  heapIndex = -1;
  readonly #timers: Timers;
  readonly #happen: (event: LinkEvent) => void;
  /** When each is to happen; never, as long as it is not there. */
  #times: { -readonly [Event in LinkEvent]?: number } = {};

  /** @param happen called for each event when its time has come */
  constructor(timers: Timers, happen: (event: LinkEvent) => void) {
    this.#timers = timers;
    this.#happen = happen;
  }

  /** Plans an event for a time from now, in milliseconds, instead of the time it had; `Infinity`: not at all. */
  in(delayMs: number, event: LinkEvent): void {
    if (delayMs === NEVER) {
      delete this.#times[event];
      return;
    }
    const at = this.#timers.clock() + delayMs;
    this.#times[event] = at;
    this.#timers.atLatest(this, at);
  }

  /** Calls everything off. */
  clear(): void {
    this.#times = {};
    this.#timers.delete(this);
  }

  expire(now: number): void {
    for (const [event, at] of Object.entries(this.#times) as [LinkEvent, number][]) {
      if (at > now || this.#times[event] !== at) continue;
      delete this.#times[event];
      this.#happen(event);
    }
    const next = Math.min(...Object.values(this.#times));
    if (next !== NEVER) this.#timers.atLatest(this, next);
  }
}
