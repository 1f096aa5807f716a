import type { DataFrame, EndFrame, Header, OpenFrame } from "../wire/frame.js";
import { CHUNK_BYTES, PAYLOAD_COST, WHOLE_BYTES } from "../wire/limits.js";
import type { Held } from "./held.js";
import { tokenCost } from "./token-cost.js";

/** A message is not cut into pieces smaller than this just because there is little credit left. */
const MIN_CHUNK_BYTES = 16 * 1024;

/** A message that waits for credit or for room. */
interface Waiting {
  readonly payload: Uint8Array | undefined;
  /** How much of it is sent. */
  offset: number;
  /** The last one of this side. */
  readonly end: boolean;
  /** Goes with the first piece. */
  readonly resumeToken: string;
  /** Tells the writer that all of it is sent, or that the call is over. */
  readonly done: (() => void) | undefined;
}

/** What a new call says first. */
export interface OpenInfo {
  readonly name: string;
  readonly headers: readonly Header[] | undefined;
  readonly resumeToken: string;
  readonly idempotencyKey: string;
  /** Time left at a time, in milliseconds; 0: no deadline. */
  readonly timeoutMs: (() => number) | undefined;
}

/** Numbers of an Open, which only the table of calls can give. */
export interface OpenNumbers {
  readonly call: number;
  readonly method: number;
  /** The method's name; `""` when the other side knows its number. */
  readonly name: string;
}

/** The sending half of a call: credit, pieces, and what waits. */
export class Sender {
  /** Number of the call; 0 until the Open is sent. */
  id = 0;
  /** What the other side is ready to take. */
  credit = 0;
  /** Caller: what the Open will say; `undefined` once it is sent, and on the side that answers. */
  openInfo: OpenInfo | undefined;
  /** Answering side: headers that go with the first frame. */
  headers: readonly Header[] | undefined;
  readonly #held: Held;
  #waiting: Waiting[] | undefined;
  #final: EndFrame | undefined;
  #ended = false;

  constructor(held: Held) {
    this.#held = held;
  }

  /** Whether something waits to be sent. */
  get hasWaiting(): boolean {
    return (
      (this.#waiting !== undefined && this.#waiting.length > 0) ||
      this.#final !== undefined ||
      this.openInfo !== undefined
    );
  }

  /** Whether a message waits, for credit or for room. */
  get hasWaitingMessage(): boolean {
    return this.#waiting?.[0]?.payload !== undefined;
  }

  /** Whether a message waits for nothing but room in the session: there is credit for it. */
  get isStarving(): boolean {
    const item = this.#waiting?.[0];
    if (item?.payload === undefined) return false;
    const left = item.payload.length - item.offset;
    return Math.min(left, MIN_CHUNK_BYTES) + PAYLOAD_COST + tokenCost(item.resumeToken) <= this.credit;
  }

  /** Whether this side has said, or is waiting to say, that it sends no more. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether a message of this length can go in one frame now, past nothing that waits. */
  fits(length: number, cost: number): boolean {
    return !this.hasWaiting && length <= WHOLE_BYTES && cost <= this.credit;
  }

  /** Adds a message that has to wait; resolves when it was sent, or the call is over. */
  wait(
    payload: Uint8Array | undefined,
    end: boolean,
    done: (() => void) | undefined,
    resumeToken = "",
  ): void {
    if (end) this.#ended = true;
    this.#waiting ??= [];
    this.#waiting.push({ payload, offset: 0, end, resumeToken, done });
    if (payload !== undefined) this.#held.bytes += payload.length;
  }

  /** Marks the sending half as ended without a frame that waits. */
  end(): void {
    this.#ended = true;
  }

  /** Adds the End, behind all that waits. */
  finish(frame: EndFrame): void {
    this.#ended = true;
    this.#final = frame;
  }

  /** Drops all that waits; the writers are told. */
  drop(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#final = undefined;
    this.openInfo = undefined;
    if (waiting === undefined) return;
    for (const { payload, done } of waiting) {
      if (payload !== undefined) this.#held.bytes -= payload.length;
      done?.();
    }
  }

  /**
   * The next frame, or `undefined` when nothing waits or there is too little credit.
   *
   * @param open numbers for the Open, of a call that is not opened yet
   */
  next(open?: () => OpenNumbers): OpenFrame | DataFrame | EndFrame | undefined {
    const item = this.#waiting?.[0];
    if (item === undefined) {
      if (this.openInfo !== undefined) return this.#open(open, undefined, false, 0);
      const final = this.#final;
      this.#final = undefined;
      return final;
    }
    const { payload } = item;
    if (payload === undefined) {
      if (this.openInfo !== undefined) {
        const frame = this.#open(open, undefined, item.end, 0);
        this.#sent(item);
        return frame;
      }
      this.#sent(item);
      return {
        kind: "data",
        call: this.id,
        end: item.end,
        size: 0,
        headers: this.#takeHeaders(),
        resumeToken: "",
        payload: undefined,
      };
    }
    const left = payload.length - item.offset;
    const token = item.offset === 0 ? tokenCost(item.resumeToken) : 0;
    const most = left <= WHOLE_BYTES ? left : CHUNK_BYTES;
    const room = Math.min(most, this.credit - PAYLOAD_COST - token);
    const length = Math.min(left, room);
    if (length < left && length < MIN_CHUNK_BYTES) return undefined;
    if (length < 0) return undefined;
    const piece = length === payload.length ? payload : payload.subarray(item.offset, item.offset + length);
    const size = item.offset === 0 && length < left ? payload.length : 0;
    const last = length === left;
    const end = last && item.end;
    let frame: OpenFrame | DataFrame;
    if (this.openInfo !== undefined) {
      frame = this.#open(open, piece, end, size);
    } else {
      const resumeToken = item.offset === 0 ? item.resumeToken : "";
      const headers = this.#takeHeaders();
      frame = { kind: "data", call: this.id, end, size, headers, resumeToken, payload: piece };
    }
    this.credit -= length + PAYLOAD_COST + token;
    item.offset += length;
    if (last) this.#sent(item);
    return frame;
  }

  /** The headers, for the first frame of the answering side only. */
  #takeHeaders(): readonly Header[] | undefined {
    const { headers } = this;
    this.headers = undefined;
    return headers;
  }

  #sent(item: Waiting): void {
    this.#waiting?.shift();
    if (item.payload !== undefined) this.#held.bytes -= item.payload.length;
    item.done?.();
  }

  #open(
    open: (() => OpenNumbers) | undefined,
    payload: Uint8Array | undefined,
    end: boolean,
    size: number,
  ): OpenFrame {
    const info = this.openInfo as OpenInfo;
    if (open === undefined) throw new Error("a call that was never opened got a turn");
    const numbers = open();
    this.openInfo = undefined;
    return {
      kind: "open",
      call: numbers.call,
      method: numbers.method,
      name: numbers.name,
      headers: info.headers,
      timeoutMs: info.timeoutMs?.() ?? 0,
      end,
      size,
      resumeToken: info.resumeToken,
      idempotencyKey: info.idempotencyKey,
      payload,
    };
  }
}
