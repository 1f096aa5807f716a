import type { Random } from "../base/clock.js";
import { CloseCode } from "../base/close.js";
import type { BroadcastLink, Link, LinkEvents } from "../driver/link.js";
import type { EncodedPacket } from "../wire/encode.js";
import type { VirtualClock } from "./clock.js";

/** How an in-memory network behaves. Times in virtual milliseconds. */
export interface NetworkOptions {
  /** Shortest time that a message takes. Default 5. */
  readonly latencyMs?: number;
  /** Longest random time on top. Messages of one direction never overtake each other. Default 0. */
  readonly jitterMs?: number;
  /** Bytes per second of each direction, per link. Default: no limit. */
  readonly bytesPerSecond?: number;
}

/** One way through a link: `"up"` is towards the server. */
export type Direction = "up" | "down";

/** Links in memory that break when they are told to. Everything here is about the links that stand at the moment. */
export interface Network {
  /** Links that stand. */
  readonly links: number;
  /** Breaks all links: what is on the way is lost, and both ends see an abnormal closure (1006). */
  cut(): void;
  /**
   * Breaks each link after so many more bytes of a direction. A message of which the last byte does not pass never
   * arrives, as with a WebSocket; those before it do.
   */
  cutAfter(direction: Direction, bytes: number): void;
  /**
   * All links swallow everything from now on, in one direction or in both, and tell nobody; only liveness can notice. New
   * links are good ones.
   */
  stall(direction?: Direction): void;
  /**
   * The client's ends break now. The server's ends get what is on its way to them that much later, and see the end only
   * after that: by then, the client may have a new link.
   */
  dieLate(delayMs: number): void;
  /** Changes how links behave from now on; what is left out stays as it is. */
  set(options: NetworkOptions): void;
  /** Makes a link: two ends that hear each other. Used by the pair. */
  link(client: LinkEvents, server: (open: (events: LinkEvents) => BroadcastLink) => void): Link;
}

/** Makes a {@link Network} on a virtual clock. */
export function createNetwork(clock: VirtualClock, random: Random, options: NetworkOptions = {}): Network {
  const behaviour = {
    latencyMs: 5,
    jitterMs: 0,
    bytesPerSecond: Number.POSITIVE_INFINITY,
    ...options,
  };
  const wires = new Set<Wire>();
  const each = (act: (wire: Wire) => void) => {
    for (const wire of [...wires]) act(wire);
  };
  return {
    get links() {
      return wires.size;
    },
    cut: () => each((wire) => wire.gone(CloseCode.abnormal, "")),
    cutAfter: (direction, bytes) => each((wire) => wire.cutAfter(direction, bytes)),
    stall: (direction) => each((wire) => wire.stall(direction)),
    dieLate: (delayMs) => each((wire) => wire.dieLate(delayMs)),
    set: (changes) => {
      Object.assign(behaviour, changes);
    },
    link(client, accept) {
      let wire: Wire | undefined;
      accept((server) => {
        const made = new Wire(clock, random, behaviour, client, server, () => wires.delete(made));
        wire = made;
        wires.add(made);
        return made.end("down");
      });
      if (wire === undefined) throw new Error("the server did not take the link");
      return wire.end("up");
    },
  };
}

/** What one direction of a wire is doing. */
interface Way {
  /** When the last message arrives, and when the sender has written all. */
  arrival: number;
  writtenAt: number;
  buffered: number;
  silent: boolean;
  /** Bytes that still pass. */
  left: number;
}

/** A link between two ends. */
class Wire {
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #behaviour: Required<NetworkOptions>;
  readonly #client: LinkEvents;
  readonly #server: LinkEvents;
  readonly #onGone: () => void;
  readonly #ways: Readonly<Record<Direction, Way>> = { up: newWay(), down: newWay() };
  #broken = false;
  /** The client's end is gone; what is on its way to the server arrives this much later. */
  #lateMs = -1;

  constructor(
    clock: VirtualClock,
    random: Random,
    behaviour: Required<NetworkOptions>,
    client: LinkEvents,
    server: LinkEvents,
    onGone: () => void,
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#behaviour = behaviour;
    this.#client = client;
    this.#server = server;
    this.#onGone = onGone;
  }

  gone(code: number, reason: string): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#onGone();
    const ends = this.#lateMs < 0 ? [this.#client, this.#server] : [this.#server];
    for (const end of ends) this.#clock.schedule(() => end.onClose(code, reason), 0);
  }

  cutAfter(direction: Direction, bytes: number): void {
    this.#ways[direction].left = bytes;
  }

  stall(direction: Direction | undefined): void {
    for (const way of ["up", "down"] as const) {
      if (direction === undefined || direction === way) this.#ways[way].silent = true;
    }
  }

  dieLate(delayMs: number): void {
    if (this.#broken || this.#lateMs >= 0) return;
    this.#lateMs = delayMs;
    this.#ways.down.silent = true;
    this.#clock.schedule(() => this.#client.onClose(CloseCode.abnormal, ""), 0);
    const last = Math.max(0, this.#ways.up.arrival - this.#clock.now()) + delayMs;
    this.#clock.schedule(() => this.gone(CloseCode.abnormal, ""), last + 1);
  }

  /** The end that sends in this direction. */
  end(direction: Direction): BroadcastLink {
    const way = this.#ways[direction];
    return {
      kind: "websocket",
      get bufferedBytes() {
        return way.buffered;
      },
      send: (packet) => this.#send(direction, packet),
      broadcast: ({ bytes }, plain) =>
        this.#send(direction, { head: bytes, body: undefined, bytes: bytes.length, room: 0, plain }),
      cork() {
        // Nothing is written in pieces here.
      },
      uncork() {
        // See above.
      },
      close: (code, reason) => {
        if (way.silent) return this.gone(CloseCode.abnormal, "");
        this.#carry(direction, 0, () => this.gone(code, reason));
      },
    };
  }

  #send(direction: Direction, packet: EncodedPacket): void {
    if (this.#broken || (this.#lateMs >= 0 && direction === "up")) return;
    const way = this.#ways[direction];
    const [to, own] = direction === "up" ? [this.#server, this.#client] : [this.#client, this.#server];
    const bytes = whole(packet);
    way.buffered += bytes.length;
    way.left -= bytes.length;
    if (way.left < 0) this.#carry(direction, bytes.length, () => this.gone(CloseCode.abnormal, ""));
    else this.#carry(direction, bytes.length, () => to.onMessage(bytes));
    this.#clock.schedule(() => {
      way.buffered -= bytes.length;
      if (!this.#broken && way.buffered === 0) own.onDrain();
    }, way.writtenAt - this.#clock.now());
  }

  #carry(direction: Direction, bytes: number, deliver: () => void): void {
    const way = this.#ways[direction];
    const { latencyMs, jitterMs, bytesPerSecond } = this.#behaviour;
    const now = this.#clock.now();
    way.writtenAt = Math.max(way.writtenAt, now) + (bytes * 1000) / bytesPerSecond;
    way.arrival = Math.max(way.arrival, way.writtenAt + latencyMs + this.#random() * jitterMs);
    const arrive = () => {
      if (!this.#broken && !way.silent) deliver();
    };
    this.#clock.schedule(() => {
      if (this.#lateMs < 0) arrive();
      else this.#clock.schedule(arrive, this.#lateMs);
    }, way.arrival - now);
  }
}

function newWay(): Way {
  return { arrival: 0, writtenAt: 0, buffered: 0, silent: false, left: Number.POSITIVE_INFINITY };
}

/** A copy: what arrives must not share memory with what the sender keeps. */
function whole({ head, body }: EncodedPacket): Uint8Array {
  const bytes = new Uint8Array(head.length + (body?.length ?? 0));
  bytes.set(head);
  if (body !== undefined) bytes.set(body, head.length);
  return bytes;
}
