import { CloseCode } from "../base/close.js";
import { closeReason, SUBPROTOCOL } from "../driver/link.js";
import { carryBytes, carryClose, readCarried, TRUNK_SUBPROTOCOL } from "../wire/trunk.js";

/** Below this, what was sent counts as handed to the network. */
const WRITTEN_MARK_BYTES = 64 * 1024;
/** A WebSocket does not tell when it has drained; while much is buffered, it is asked this often. */
const POLL_MS = 10;
/** What was written is told in steps of this size. */
const STEP_BYTES = 16 * 1024;

/** Whom a lane belongs to. */
export interface LaneOwner {
  onOpen(): void;
  onPacket(packet: Uint8Array): void;
  onWritten(bytes: number): void;
  /** Called once, unless the owner has closed the lane. */
  onClose(code: number, reason: string): void;
}

/** Told what becomes of a trunk. */
export interface TrunkEvents {
  onOpen(): void;
  /** The server speaks to one tab at a time only. */
  onUnsupported(): void;
  /** It is gone, all lanes with it. */
  onGone(): void;
}

/** One link over a trunk. */
export interface Lane {
  send(packet: Uint8Array): void;
  close(code: number, reason: string): void;
}

/** The client's end of a WebSocket that carries several links. It closes when the last of them does. */
export class Trunk {
  readonly #ws: WebSocket;
  readonly #events: TrunkEvents;
  readonly #lanes = new Set<CarriedLane>();
  /** Those that have a number, by it. */
  readonly #numbered = new Map<number, CarriedLane>();
  #lastLane = 0;
  #open = false;
  #gone = false;
  #retired = false;
  #poll: ReturnType<typeof setTimeout> | undefined;
  /** Messages so far. */
  heard = 0;

  /** @throws what the platform's WebSocket throws for this URL. */
  constructor(url: string, events: TrunkEvents) {
    this.#events = events;
    this.#ws = new WebSocket(url, [TRUNK_SUBPROTOCOL, SUBPROTOCOL]);
    this.#ws.binaryType = "arraybuffer";
    this.#ws.onopen = () => this.#onOpen();
    this.#ws.onmessage = (event: MessageEvent<ArrayBuffer | string>) => this.#onMessage(event.data);
    this.#ws.onclose = ({ code, reason }) => this.#over(code, reason || "the connection broke");
  }

  /** Whether further lanes may begin here. */
  get takesLanes(): boolean {
    return !this.#gone && !this.#retired;
  }

  /** A lane, which opens once the WebSocket does. */
  lane(owner: LaneOwner): Lane {
    const lane = new CarriedLane(owner, this);
    this.#lanes.add(lane);
    if (this.#open) queueMicrotask(() => lane.opened());
    return lane;
  }

  /** Gives up the WebSocket; the lanes that are left are closed with this. */
  close(code: number, reason: string): void {
    if (this.#gone) return;
    this.#ws.close(CloseCode.normal);
    this.#over(code, reason);
  }

  // ---- for lanes -----------------------------------------------------------------------------------------------

  send(lane: CarriedLane, packet: Uint8Array): void {
    if (!this.#isOpen()) return;
    if (lane.number === 0) {
      // Only now: lanes begin in the order of their numbers, whoever is the first to speak.
      lane.number = ++this.#lastLane;
      this.#numbered.set(lane.number, lane);
    }
    this.#ws.send(carryBytes(lane.number, packet));
    lane.unwritten += packet.length;
    this.#tellWritten();
  }

  /** A lane is closed by its owner. */
  leave(lane: CarriedLane, code: number, reason: string): void {
    if (!this.#lanes.delete(lane)) return;
    if (this.#isOpen() && this.#numbered.delete(lane.number))
      this.#ws.send(carryClose(lane.number, code, closeReason(reason)));
    const isSilent = code === CloseCode.silent || code === CloseCode.handshakeTimeout;
    if (isSilent && lane.heard === this.heard) {
      // Nobody has heard anything since this one has: the WebSocket is dead for all.
      return this.close(CloseCode.moved, "the connection is silent");
    }
    this.#closeIfEmpty();
  }

  // ---- what the WebSocket says ---------------------------------------------------------------------------------

  #onOpen(): void {
    if (this.#gone) return;
    if (this.#ws.protocol !== TRUNK_SUBPROTOCOL) {
      this.#ws.close(CloseCode.normal);
      this.#gone = true;
      this.#events.onGone();
      this.#events.onUnsupported();
      return;
    }
    this.#open = true;
    this.#events.onOpen();
    for (const lane of [...this.#lanes]) lane.opened();
  }

  #onMessage(data: ArrayBuffer | string): void {
    if (this.#gone) return;
    this.heard++;
    try {
      if (typeof data === "string") throw new TypeError("the server sent a text message");
      const carried = readCarried(new Uint8Array(data));
      const lane = this.#numbered.get(carried.lane);
      // What is left over from a lane that was closed on this side goes nowhere.
      if (lane === undefined) return;
      lane.heard = this.heard;
      if (carried.kind === "packet") lane.owner.onPacket(carried.packet);
      else this.#closedByServer(lane, carried.code, carried.reason);
    } catch (error) {
      this.close(CloseCode.malformed, error instanceof Error ? error.message : String(error));
    }
    this.#tellWritten();
  }

  #closedByServer(lane: CarriedLane, code: number, reason: string): void {
    this.#lanes.delete(lane);
    this.#numbered.delete(lane.number);
    // A server that goes away, or wants new connections, is not asked for more here.
    if (code === CloseCode.goingAway || code === CloseCode.restart || code === CloseCode.tryLater)
      this.#retired = true;
    lane.owner.onClose(code, reason);
    this.#closeIfEmpty();
  }

  #over(code: number, reason: string): void {
    if (this.#gone) return;
    this.#gone = true;
    clearTimeout(this.#poll);
    const lanes = [...this.#lanes];
    this.#lanes.clear();
    this.#numbered.clear();
    this.#events.onGone();
    // The end of the WebSocket ends no session.
    for (const { owner } of lanes)
      owner.onClose(code === CloseCode.normal ? CloseCode.abnormal : code, reason);
  }

  #closeIfEmpty(): void {
    if (this.#lanes.size === 0) this.close(CloseCode.normal, "");
  }

  #isOpen(): boolean {
    return this.#open && !this.#gone;
  }

  /** Tells lanes what has gone out. Timers of hidden pages are slow, so whatever happens is taken as an occasion. */
  #tellWritten(): void {
    if (this.#ws.bufferedAmount < WRITTEN_MARK_BYTES) {
      for (const lane of this.#lanes) lane.written(STEP_BYTES);
    } else if (this.#poll === undefined && !this.#gone) {
      this.#poll = setTimeout(() => {
        this.#poll = undefined;
        this.#tellWritten();
      }, POLL_MS);
    }
  }
}

class CarriedLane implements Lane {
  /** 0 until it has something to say. */
  number = 0;
  readonly owner: LaneOwner;
  readonly #trunk: Trunk;
  /** Sent, and not yet told to be written. */
  unwritten = 0;
  /** Number of the last message of the WebSocket that was for this lane, or that it began behind. */
  heard: number;
  isOpen = false;

  constructor(owner: LaneOwner, trunk: Trunk) {
    this.owner = owner;
    this.#trunk = trunk;
    this.heard = trunk.heard;
  }

  opened(): void {
    if (this.isOpen) return;
    this.isOpen = true;
    this.owner.onOpen();
  }

  send(packet: Uint8Array): void {
    this.#trunk.send(this, packet);
  }

  close(code: number, reason: string): void {
    this.#trunk.leave(this, code, reason);
  }

  written(least: number): void {
    if (this.unwritten < least) return;
    const bytes = this.unwritten;
    this.unwritten = 0;
    this.owner.onWritten(bytes);
  }
}
