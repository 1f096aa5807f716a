import { CloseCode } from "../base/close.js";
import { TokenBucket } from "../base/token-bucket.js";
import { BULK_MARK_BYTES } from "../driver/driver.js";
import { type BroadcastLink, closeReason, type LinkEvents, sendShared } from "../driver/link.js";
import type { TimerItem } from "../driver/timers.js";
import type { EncodedPacket } from "../wire/encode.js";
import { WireError } from "../wire/error.js";
import type { SharedPacket } from "../wire/shared.js";
import { carryClose, carryPacket, readCarried } from "../wire/trunk.js";
import type { UpgradeInfo } from "./authentication.js";
import { Greeting, type GreetingHost } from "./greeting.js";
import { atEndOfTurn } from "./session.js";
import type { Sessions } from "./sessions.js";

/** Each lane may cost an authentication: so many may begin per second, once as many have begun as may be open. */
const LANES_PER_SECOND = 10;

/** Nobody has so many tabs: a client that has more lanes refused in a second is cut off. */
const REFUSALS_PER_SECOND = 100;

/** When so many closes of lanes wait behind {@link BULK_MARK_BYTES}, the client that begins another lane is cut off. */
const UNREAD_CLOSES = 20;

/** A place among the connections that may be open; or why there is none, with an HTTP status. */
export type Place = { readonly leave: () => void } | { readonly full: string; readonly status: number };

/** What lanes come in through. */
export interface TrunkDoor {
  /** Why no lane may begin any more, if so. */
  readonly whyShut: () => string | undefined;
  /** For a lane: the WebSocket has a place of its own, which its only lane needs no other for. */
  readonly place: () => Place;
}

/** What a {@link Trunk} has to know of its server. */
export interface TrunkOptions extends TrunkDoor {
  /** Told of the first lane whose client is authenticated. */
  readonly onWelcome: () => void;
}

/**
 * A WebSocket that carries links for many sessions, each as if it had come in by itself: with its own Hello, its own
 * authentication, and a close of its own. Nothing of one is known to another.
 */
export class Trunk implements LinkEvents, TimerItem, GreetingHost {
  dueAt: number = Number.POSITIVE_INFINITY;
  heapIndex = -1;
  readonly #sessions: Sessions;
  readonly #info: UpgradeInfo;
  readonly #options: TrunkOptions;
  readonly #link: BroadcastLink;
  readonly #lanes = new Map<number, Lane>();
  /** How to leave the places of its lanes: of all but one. */
  readonly #places: (() => void)[] = [];
  readonly #begun: TokenBucket;
  readonly #refusals = new TokenBucket(REFUSALS_PER_SECOND);
  /** Closes of lanes that were sent since the link last had less than {@link BULK_MARK_BYTES} to write. */
  #unread = 0;
  #lastLane = 0;
  /** Set once it is to be closed, which it is when its lanes are. */
  #closing: { readonly code: number; readonly reason: string } | undefined;
  #gone = false;
  /** Lanes that come first when there is room again are not always the same. */
  #turn = 0;

  /** @param open makes the link; it must not call the events before it has returned. */
  constructor(
    sessions: Sessions,
    open: (events: LinkEvents) => BroadcastLink,
    info: UpgradeInfo,
    options: TrunkOptions,
  ) {
    this.#sessions = sessions;
    this.#info = info;
    this.#options = options;
    this.#begun = new TokenBucket(LANES_PER_SECOND, sessions.settings.maxLanes);
    this.#link = open(this);
    this.#watchEmpty();
  }

  /** Closes the lanes that have no session yet, and the WebSocket when no lane is left. */
  close(code: number, reason: string): void {
    this.#closing ??= { code, reason };
    for (const { greeting } of this.#lanes.values()) greeting.close(code, reason);
    this.#closeIfEmpty();
  }

  /** No lane was open for the time of a handshake. */
  expire(): void {
    if (this.#lanes.size === 0) this.#cut(CloseCode.handshakeTimeout, "no lane is open");
  }

  // ---- what the link says --------------------------------------------------------------------------------------

  onMessage(bytes: Uint8Array): void {
    if (this.#gone) return;
    try {
      const carried = readCarried(bytes);
      if (carried.kind === "closed") {
        this.#lastLane = Math.max(this.#lastLane, carried.lane);
        this.#lanes.get(carried.lane)?.closed(carried.code, carried.reason);
        return;
      }
      const lane = this.#lanes.get(carried.lane) ?? this.#begin(carried.lane);
      if (lane === undefined) return;
      const { packetBytes } = this.#sessions.settings.session.limits;
      if (carried.packet.length > packetBytes)
        return lane.close(CloseCode.tooBig, `a packet is longer than ${packetBytes} bytes`);
      lane.greeting.onMessage(carried.packet);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#cut(error.closeCode, error.message);
    }
  }

  onText(): void {
    this.#cut(CloseCode.textMessage, "Hawser speaks binary messages only");
  }

  onDrain(): void {
    const lanes = [...this.#lanes.values()];
    const first = this.#turn++ % Math.max(1, lanes.length);
    for (const lane of [...lanes.slice(first), ...lanes.slice(0, first)]) lane.greeting.onDrain();
  }

  onClose(code: number, reason: string): void {
    this.#gone = true;
    this.#sessions.timers.delete(this);
    // That one tab has let go of the WebSocket is not the end of the others' sessions.
    const forLanes = code === CloseCode.normal ? CloseCode.goingAway : code;
    for (const lane of [...this.#lanes.values()]) lane.closed(forLanes, reason);
  }

  // ---- lanes ---------------------------------------------------------------------------------------------------

  onWelcome(): void {
    this.#options.onWelcome();
  }

  onSession(): void {
    // The WebSocket belongs to several.
  }

  get bufferedBytes(): number {
    return this.#link.bufferedBytes;
  }

  /** For a lane. */
  send(lane: Lane, packet: EncodedPacket): void {
    if (!this.#gone) this.#link.send(carryPacket(lane.number, packet, allocate));
  }

  cork(): void {
    this.#link.cork();
  }

  uncork(): void {
    this.#link.uncork();
  }

  /** A lane is closed; the other side learns of it when it was this one that closed it. */
  left(lane: Lane, code: number, reason: string, tell: boolean): void {
    if (!this.#lanes.delete(lane.number)) return;
    if (this.#places.length >= this.#lanes.size) this.#places.pop()?.();
    if (this.#gone) return;
    if (tell) this.#tell(lane.number, code, reason);
    if (!this.#closeIfEmpty()) this.#watchEmpty();
  }

  /** The lane of this number begins; `undefined` for the last words to one that is closed, and for one that is turned away. */
  #begin(number: number): Lane | undefined {
    // Numbers increase: what bears an old one was on its way when that lane was closed.
    if (number <= this.#lastLane) return undefined;
    this.#lastLane = number;
    const { settings, timers } = this.#sessions;
    // Each lane ends with a message: who does not read them gets no more, or they would pile up here.
    if (this.#unread >= UNREAD_CLOSES && this.#isBehind) {
      this.#cut(CloseCode.tooMany, "refusals are not read");
      return undefined;
    }
    const shut = this.#options.whyShut() ?? this.#closing?.reason;
    if (shut !== undefined) return this.#refuse(number, CloseCode.goingAway, shut);
    if (this.#lanes.size >= settings.maxLanes || this.#begun.tryTake(1, timers.clock()) > 0) {
      settings.observer?.limited?.({ limit: "maxLanes", address: this.#info.remoteAddress });
      const reason = `${settings.maxLanes} lanes of this connection are open, or were begun in short time (maxLanes)`;
      return this.#refuse(number, CloseCode.tooMany, reason);
    }
    if (this.#lanes.size > 0) {
      const place = this.#options.place();
      if ("full" in place) return this.#refuse(number, CloseCode.tooMany, place.full);
      this.#places.push(place.leave);
    }
    const lane = new Lane(number, this);
    lane.greeting = new Greeting(this.#sessions, () => lane, this.#info, { host: this });
    this.#lanes.set(number, lane);
    timers.delete(this);
    return lane;
  }

  #refuse(number: number, code: number, reason: string): undefined {
    if (this.#refusals.tryTake(1, this.#sessions.timers.clock()) === 0) this.#tell(number, code, reason);
    else this.#cut(CloseCode.tooMany, `more than ${REFUSALS_PER_SECOND} lanes were refused in a second`);
  }

  /** Tells the other side that a lane is closed. */
  #tell(number: number, code: number, reason: string): void {
    this.#unread = this.#isBehind ? this.#unread + 1 : 0;
    const message = carryClose(number, code, closeReason(reason));
    this.#link.send({ head: message, body: undefined, bytes: message.length, room: 0, plain: true });
  }

  get #isBehind(): boolean {
    return this.#link.bufferedBytes > BULK_MARK_BYTES;
  }

  #closeIfEmpty(): boolean {
    if (this.#closing === undefined || this.#lanes.size > 0 || this.#gone) return false;
    this.#cut(this.#closing.code, this.#closing.reason);
    return true;
  }

  #cut(code: number, reason: string): void {
    this.#sessions.timers.delete(this);
    this.#link.close(code, reason);
  }

  #watchEmpty(): void {
    if (this.#lanes.size > 0) return;
    const { timers, settings } = this.#sessions;
    timers.delete(this);
    timers.atLatest(this, timers.clock() + settings.session.handshakeTimeoutMs);
  }
}

/** One link of a trunk. */
class Lane implements BroadcastLink {
  readonly kind = "websocket";
  readonly number: number;
  readonly #trunk: Trunk;
  /** Hears what the link says; there from the beginning, but made with the lane. */
  greeting!: Greeting;
  #open = true;

  constructor(number: number, trunk: Trunk) {
    this.number = number;
    this.#trunk = trunk;
  }

  get bufferedBytes(): number {
    return this.#trunk.bufferedBytes;
  }

  send(packet: EncodedPacket): void {
    if (this.#open) this.#trunk.send(this, packet);
  }

  broadcast(packet: SharedPacket, plain: boolean): void {
    sendShared(this, packet, plain);
  }

  cork(): void {
    this.#trunk.cork();
  }

  uncork(): void {
    this.#trunk.uncork();
  }

  close(code: number, reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#trunk.left(this, code, reason, true);
    // As with a WebSocket, whoever closes hears of it later.
    atEndOfTurn(() => this.greeting.onClose(code, reason));
  }

  /** The other side has closed it, or the WebSocket is gone. */
  closed(code: number, reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#trunk.left(this, code, reason, false);
    this.greeting.onClose(code, reason);
  }
}

function allocate(bytes: number): Uint8Array {
  return Buffer.allocUnsafe(bytes);
}
