import { Host } from "./host.js";
import type { PortLike } from "./line.js";
import { hold, newName } from "./locks.js";
import type { Hail } from "./messages.js";
import type { HostSource, SourceEvents } from "./source.js";

/**
 * Finds the host among the tabs: the tab that holds a certain Web Lock leads, and hosts the connection. When it goes, for
 * whatever reason, the browser gives the lock to the next.
 *
 * Each follower speaks with its leader over a `BroadcastChannel` of their own, so that no tab hears what is for another.
 */
export class LeaderSource implements HostSource {
  readonly #name: string;
  readonly #tab: string;
  readonly #locks: LockManager;
  readonly #events: SourceEvents;
  /** There while the tab takes part. */
  #common: BroadcastChannel | undefined;
  #host: Host | undefined;
  /** Lets go of leadership. */
  #resign: (() => void) | undefined;
  /** Ends waiting for leadership. */
  #candidacy: AbortController | undefined;
  #leader = "";

  /**
   * @param name what tabs that share have in common
   * @param tab name of this tab's lock
   */
  constructor(name: string, tab: string, locks: LockManager, events: SourceEvents) {
    this.#name = name;
    this.#tab = tab;
    this.#locks = locks;
    this.#events = events;
  }

  find(): void {
    if (this.#common === undefined) {
      this.#common = new BroadcastChannel(this.#name);
      this.#common.onmessage = ({ data }: MessageEvent) => this.#onHail(data as Hail);
      this.#stand(false);
    }
    this.#leader = "";
    if (this.#host !== undefined) this.#meet(this.#host);
    else this.#hail({ hail: "who" });
  }

  silent(): void {
    // It holds the lock and does not answer: a phone has stopped it, or it is busy for good. Should it wake up, it learns.
    if (this.#common !== undefined && this.#host === undefined) this.#stand(true);
    else this.find();
  }

  leave(over: boolean): void {
    this.#candidacy?.abort();
    this.#candidacy = undefined;
    this.#common?.close();
    this.#common = undefined;
    // In this order: what it says for this tab must go out before its WebSocket is closed.
    this.#host?.drop(this.#tab, over);
    this.#abdicate();
  }

  /** Waits to be the leader, or takes the lead. */
  #stand(steal: boolean): void {
    this.#candidacy?.abort();
    const candidacy = new AbortController();
    this.#candidacy = candidacy;
    const lead = () => {
      if (candidacy.signal.aborted) return;
      return new Promise<void>((resolve) => {
        this.#resign = resolve;
        void this.#lead(candidacy.signal);
      });
    };
    const options = steal ? { steal: true } : { signal: candidacy.signal };
    this.#locks.request(this.#name, options, lead).then(
      () => undefined,
      () => {
        if (candidacy.signal.aborted) return;
        // Somebody else has taken the lead.
        this.#abdicate();
        this.#stand(false);
        this.find();
      },
    );
  }

  async #lead(signal: AbortSignal): Promise<void> {
    const id = newName("host");
    const letGo = await hold(this.#locks, id);
    if (signal.aborted) return letGo();
    const host = new Host(id, this.#locks);
    this.#host = host;
    const resign = this.#resign;
    this.#resign = () => {
      letGo();
      resign?.();
    };
    this.#hail({ hail: "leader", host: id });
    this.#meet(host);
  }

  #abdicate(): void {
    const host = this.#host;
    this.#host = undefined;
    host?.close();
    this.#resign?.();
    this.#resign = undefined;
  }

  /** This tab's own way to the host that it is. */
  #meet(host: Host): void {
    const { port1, port2 } = new MessageChannel();
    host.accept(port1);
    this.#events.onFound({ kind: "this tab", port: port2 });
  }

  #onHail(message: Hail): void {
    switch (message.hail) {
      case "who":
        if (this.#host !== undefined) this.#hail({ hail: "leader", host: this.#host.id });
        return;
      case "leader": {
        if (this.#host !== undefined || message.host === this.#leader) return;
        this.#leader = message.host;
        const channel = newName("pair");
        // It is there before the leader hears of it.
        this.#events.onFound({ kind: "another tab", port: pairChannel(channel) });
        this.#hail({ hail: "pair", host: message.host, channel });
        return;
      }
      case "pair":
        if (message.host === this.#host?.id) this.#host.accept(pairChannel(message.channel));
    }
  }

  #hail(message: Hail): void {
    this.#common?.postMessage(message);
  }
}

/** A channel that nobody else knows the name of, which makes it a port. */
function pairChannel(name: string): PortLike {
  return new BroadcastChannel(name) as PortLike;
}
