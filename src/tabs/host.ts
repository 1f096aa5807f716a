import { CloseCode } from "../base/close.js";
import { Line, type PortLike } from "./line.js";
import { whenFree } from "./locks.js";
import type { ToHost, ToTab } from "./messages.js";
import { type Lane, Trunk } from "./trunk.js";

/** What a tab has said in its last moment may arrive after its lock is free; so long it is waited for. */
const LAST_WORDS_MS = 500;

/**
 * Holds the WebSocket for all tabs, in a worker or in one of them. It passes packets on and knows nothing of what is in
 * them: sessions live in the tabs and on the server, so nothing is lost when it dies.
 */
export class Host {
  /** Its lock is called so. Whoever makes a host holds it. */
  readonly id: string;
  readonly #locks: LockManager | undefined;
  /** Those that take lanes, by URL, and all that are open: a server that goes away is left lane by lane. */
  readonly #current = new Map<string, Trunk>();
  readonly #trunks = new Set<Trunk>();
  readonly #guests = new Set<Guest>();
  readonly #offline: () => void;
  #closed = false;

  constructor(id: string, locks: LockManager | undefined) {
    this.id = id;
    this.#locks = locks;
    // What stood before the outage went over a network that is gone, as a rule.
    this.#offline = () => this.#closeTrunks("the machine was offline");
    globalThis.addEventListener?.("online", this.#offline);
  }

  /** A tab has come. */
  accept(port: PortLike): void {
    if (this.#closed) return port.close();
    const guest: Guest = { lanes: new Map(), tab: undefined, line: undefined, stopWaiting: () => undefined };
    guest.line = new Line<ToTab, ToHost>(
      port,
      (message) => this.#onMessage(guest, message),
      () => this.#remove(guest, false),
    );
    this.#guests.add(guest);
    guest.line.send({ say: "here", host: this.id });
  }

  /**
   * A tab goes.
   *
   * @param over its session ends with it; otherwise it may come back
   */
  drop(tab: string, over: boolean): void {
    for (const guest of this.#guests) if (guest.tab === tab) this.#remove(guest, over);
  }

  /** Lets go of the WebSockets; the tabs look for another host. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const guest of this.#guests) {
      guest.stopWaiting();
      guest.line?.send({ say: "left" });
      guest.line?.close();
      guest.lanes.clear();
    }
    this.#guests.clear();
    globalThis.removeEventListener?.("online", this.#offline);
    this.#closeTrunks("");
  }

  #closeTrunks(reason: string): void {
    for (const trunk of [...this.#trunks]) trunk.close(CloseCode.moved, reason);
  }

  #onMessage(guest: Guest, message: ToHost): void {
    switch (message.do) {
      case "join":
        return this.#join(guest, message.tab);
      case "probe":
        return guest.line?.send({ say: "here", host: this.id });
      case "dial":
        guest.line?.send({ say: "here", host: this.id });
        return this.#dial(guest, message.dial, message.url);
      case "packet":
        return guest.lanes.get(message.dial)?.send(message.bytes);
      case "close": {
        const lane = guest.lanes.get(message.dial);
        guest.lanes.delete(message.dial);
        return lane?.close(message.code, message.reason);
      }
      case "leave":
        return this.#remove(guest, message.over);
    }
  }

  #join(guest: Guest, tab: string): void {
    // It may have lost its way to us and found another.
    this.drop(tab, false);
    guest.tab = tab;
    guest.stopWaiting = whenFree(this.#locks, tab, () => {
      setTimeout(() => this.#remove(guest, true), LAST_WORDS_MS);
    });
  }

  #dial(guest: Guest, dial: number, url: string): void {
    const { line } = guest;
    const closed = (code: number, reason: string) => {
      if (guest.lanes.delete(dial)) line?.send({ say: "closed", dial, code, reason });
    };
    let trunk: Trunk;
    try {
      trunk = this.#trunk(url);
    } catch {
      // The tab finds out by itself what is wrong with the URL.
      line?.send({ say: "unsupported" });
      return;
    }
    const lane = trunk.lane({
      onOpen: () => {
        if (guest.lanes.has(dial)) line?.send({ say: "opened", dial });
      },
      onPacket: (packet) => {
        if (!guest.lanes.has(dial)) return;
        // A packet is nearly all of its message: the buffer changes hands, unless it has to be copied anyway.
        line?.send({ say: "packet", dial, bytes: packet }, [packet.buffer as ArrayBuffer]);
      },
      onWritten: (bytes) => line?.send({ say: "written", dial, bytes }),
      onClose: closed,
    });
    guest.lanes.set(dial, lane);
  }

  #trunk(url: string): Trunk {
    const present = this.#current.get(url);
    if (present?.takesLanes === true) return present;
    const trunk: Trunk = new Trunk(url, {
      onOpen: () => this.#tellAll({ say: "up" }),
      onUnsupported: () => this.#tellAll({ say: "unsupported" }),
      onGone: () => {
        this.#trunks.delete(trunk);
        if (this.#current.get(url) === trunk) this.#current.delete(url);
      },
    });
    this.#trunks.add(trunk);
    this.#current.set(url, trunk);
    return trunk;
  }

  #tellAll(message: ToTab): void {
    for (const { line } of this.#guests) line?.send(message);
  }

  #remove(guest: Guest, over: boolean): void {
    if (!this.#guests.delete(guest)) return;
    guest.stopWaiting();
    guest.line?.close();
    const lanes = [...guest.lanes.values()];
    guest.lanes.clear();
    for (const lane of lanes) {
      if (over) lane.close(CloseCode.normal, "the tab is gone");
      else lane.close(CloseCode.goingAway, "the tab has left");
    }
  }
}

/** A tab, as its host knows it. */
interface Guest {
  /** Its lock; `undefined` until it has said so. */
  tab: string | undefined;
  line: Line<ToTab, ToHost> | undefined;
  readonly lanes: Map<number, Lane>;
  stopWaiting: () => void;
}
