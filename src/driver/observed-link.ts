import type { Clock } from "../base/clock.js";
import type { LinkInfo, LinkKind, Observer, Traffic } from "../base/observer.js";
import type { BroadcastLink, Link, LinkEvents } from "./link.js";

/** What is known of the session that a link serves. */
export interface LinkOwner {
  /** `""` before there is a session. */
  readonly sessionId: string;
  readonly identity?: string | undefined;
  readonly rtt: number | undefined;
}

const NOBODY: LinkOwner = { sessionId: "", rtt: undefined };

/** Counts what goes over a link, and tells an observer when it opens and closes. */
export class ObservedLink implements LinkInfo {
  readonly side: "client" | "server";
  readonly address: string | undefined;
  readonly local: boolean;
  readonly transport: LinkInfo["transport"];
  readonly traffic: { -readonly [Key in keyof Traffic]: Traffic[Key] } = {
    bytesIn: 0,
    bytesOut: 0,
    packetsIn: 0,
    packetsOut: 0,
  };
  /** What the link serves, once that is known. It stays what it was when the link is gone. */
  owner: LinkOwner = NOBODY;
  readonly #observer: Observer;
  readonly #clock: Clock;
  readonly #openedAt: number;
  #link: Pick<Link, "kind"> | undefined;

  constructor(
    side: "client" | "server",
    address: string | undefined,
    observer: Observer,
    clock: Clock,
    local = false,
    transport: LinkInfo["transport"] = undefined,
  ) {
    this.side = side;
    this.address = address;
    this.local = local;
    this.transport = transport;
    this.#observer = observer;
    this.#clock = clock;
    this.#openedAt = clock();
  }

  get kind(): LinkKind {
    return this.#link?.kind ?? "websocket";
  }

  get sessionId(): string | undefined {
    return this.owner.sessionId || undefined;
  }

  get identity(): string | undefined {
    return this.owner.identity;
  }

  get rtt(): number | undefined {
    return this.owner.rtt;
  }

  /** The link is open. */
  opened(): void {
    this.#observer.linkOpened?.(this);
  }

  /** Events that are counted before they go on. */
  events(events: LinkEvents): LinkEvents {
    const { traffic } = this;
    return {
      onText: () => events.onText(),
      onDrain: () => events.onDrain(),
      onMessage: (bytes) => {
        traffic.packetsIn++;
        traffic.bytesIn += bytes.length;
        events.onMessage(bytes);
      },
      onClose: (code, reason) => {
        // Before its session ends with it, or waits for another.
        this.#observer.linkClosed?.(this, { code, reason, durationMs: this.#clock() - this.#openedAt });
        events.onClose(code, reason);
      },
    };
  }

  /** The link, which counts what it sends. */
  link(link: Link): BroadcastLink {
    const { traffic } = this;
    this.#link = link;
    return {
      get kind() {
        return link.kind;
      },
      get bufferedBytes() {
        return link.bufferedBytes;
      },
      send(packet) {
        traffic.packetsOut++;
        traffic.bytesOut += packet.bytes;
        link.send(packet);
      },
      broadcast(packet, plain) {
        traffic.packetsOut++;
        traffic.bytesOut += packet.bytes.length;
        // Only servers do, and theirs can.
        (link as BroadcastLink).broadcast(packet, plain);
      },
      cork: () => link.cork(),
      uncork: () => link.uncork(),
      close: (code, reason) => link.close(code, reason),
    };
  }
}
