import { PAYLOAD_COST } from "../wire/limits.js";
import { HELD_OVERHEAD, type Held } from "./held.js";
import { tokenCost } from "./token-cost.js";
import type { TopicGap } from "./topic.js";

/** What a {@link Receiver} found wrong with a frame. */
export type ReceiveFault =
  /** More bytes than credit, or than the message's size: the other side breaks the protocol. */
  | "violation"
  /** The message is over the limit: its call fails. */
  | "tooLarge";

/** Keeps account of messages that come without credit: those of a topic. */
export interface Tracker {
  /** Messages are missing before the one that was consumed last. */
  readonly gap: TopicGap | undefined;
  /** The next message was consumed. Whether it came without credit. */
  consumed(bytes: number): boolean;
  /** A message with credit arrived among them. */
  pass(): void;
  /** Tells the other side of room, when there is enough to tell. */
  giveRoom(): void;
  /** The call is over. */
  close(): void;
}

/** The receiving half of a call: messages that wait for their reader, and the credit they hold. */
export class Receiver {
  /** The other side sends no more messages. */
  ended = false;
  tracker: Tracker | undefined;
  readonly #window: number;
  readonly #messageBytes: number;
  readonly #held: Held;
  #heldBytes = 0;
  #heldMessages = 0;
  /** Token of the message that was consumed last; `""` when it carried none. */
  resumeToken = "";
  /** Tokens of the messages that wait, by their number; there once a token has come. */
  #tokens: Map<number, string> | undefined;
  #received = 0;
  #shifted = 0;
  #pieceToken = "";
  #queue: Uint8Array[] | undefined;
  #head = 0;
  /** Bytes that the other side may still send. */
  #credit: number;
  /** Bytes consumed, not given back yet. */
  #consumed = 0;
  #pieces: Uint8Array[] | undefined;
  #piecesBytes = 0;
  #size = 0;

  constructor(window: number, messageBytes: number, held: Held) {
    this.#held = held;
    this.#window = window;
    this.#messageBytes = messageBytes;
    this.#credit = window;
  }

  /** Complete messages that wait for the reader. */
  get length(): number {
    return this.#queue === undefined ? 0 : this.#queue.length - this.#head;
  }

  /** Messages that the reader has consumed. */
  get consumed(): number {
    return this.#shifted;
  }

  /** Whether a message has begun that is not complete. */
  get incomplete(): boolean {
    return this.#pieces !== undefined;
  }

  /** Takes in a payload from a frame. `free`: it costs no credit (the payload of an End). */
  take(payload: Uint8Array, size: number, free: boolean, resumeToken: string): ReceiveFault | undefined {
    const { length } = payload;
    if (!free) {
      this.#credit -= length + PAYLOAD_COST + tokenCost(resumeToken);
      if (this.#credit < 0) return "violation";
    }
    if (this.#pieces === undefined) {
      if (size === 0) {
        if (length > this.#messageBytes) return "tooLarge";
        this.#push(payload, resumeToken);
        this.tracker?.pass();
        return undefined;
      }
      if (size <= length) return "violation";
      if (size > this.#messageBytes) return "tooLarge";
      this.#size = size;
      this.#pieceToken = resumeToken;
      this.#pieces = [];
      this.#piecesBytes = 0;
    } else if (size !== 0) {
      return "violation";
    }
    this.#pieces.push(this.#held.keepPiece(payload));
    this.#piecesBytes += length;
    this.#hold(length + HELD_OVERHEAD, 1);
    if (this.#piecesBytes > this.#size) return "violation";
    if (this.#piecesBytes < this.#size) {
      // The reader cannot consume what is not complete: give it back now. `size` bounds what this can amount to.
      this.#consumed += length + PAYLOAD_COST;
      return undefined;
    }
    const whole = concatenate(this.#pieces, this.#size);
    this.#piecesBytes = 0;
    this.#hold(-this.#size - this.#pieces.length * HELD_OVERHEAD, -this.#pieces.length);
    // What the earlier pieces cost was given back; the reader gives back the cost of the whole.
    this.#consumed -= this.#size - length;
    this.#pieces = undefined;
    this.#push(whole, this.#pieceToken);
    this.tracker?.pass();
    return undefined;
  }

  /** Takes in a message that came without credit. */
  deliver(payload: Uint8Array): void {
    this.#push(payload, "");
  }

  /** The next message, consumed; `undefined` when none is complete. */
  shift(): Uint8Array | undefined {
    const queue = this.#queue;
    if (queue === undefined) return undefined;
    const message = queue[this.#head];
    if (message === undefined) return undefined;
    queue[this.#head++] = EMPTY;
    if (this.#head === queue.length) {
      queue.length = 0;
      this.#head = 0;
    } else if (this.#head > 1024) {
      this.#queue = queue.slice(this.#head);
      this.#head = 0;
    }
    this.#hold(-message.length - HELD_OVERHEAD, -1);
    this.#shifted++;
    if (this.#tokens !== undefined) this.#takeToken();
    // Last, for the application is told, and may end the call.
    if (this.tracker?.consumed(message.length) !== true) this.#consumed += message.length + PAYLOAD_COST;
    return message;
  }

  /** Credit to give back now: nothing until half the window is consumed, or once the other side has ended. */
  takeCredit(): number {
    if (this.ended || this.#consumed * 2 < this.#window) return 0;
    const bytes = this.#consumed;
    this.#consumed = 0;
    this.#credit += bytes;
    return bytes;
  }

  /** Forgets all messages. */
  drop(): void {
    this.#queue = undefined;
    this.#head = 0;
    this.#pieces = undefined;
    this.#piecesBytes = 0;
    this.#tokens = undefined;
    this.#hold(-this.#heldBytes, -this.#heldMessages);
  }

  #hold(bytes: number, messages: number): void {
    this.#heldBytes += bytes;
    this.#heldMessages += messages;
    this.#held.bytes += bytes;
    this.#held.messages += messages;
  }

  #takeToken(): void {
    this.resumeToken = this.#tokens?.get(this.#shifted) ?? "";
    this.#hold(-this.resumeToken.length, 0);
    this.#consumed += tokenCost(this.resumeToken);
    this.#tokens?.delete(this.#shifted);
  }

  #push(message: Uint8Array, resumeToken: string): void {
    this.#received++;
    if (resumeToken !== "") {
      this.#tokens ??= new Map();
      this.#tokens.set(this.#received, resumeToken);
      this.#hold(resumeToken.length, 0);
    }
    this.#hold(message.length + HELD_OVERHEAD, 1);
    const queue = this.#queue;
    if (queue === undefined) this.#queue = [this.#held.keep(message, undefined)];
    else queue.push(this.#held.keep(message, queue[queue.length - 1]));
  }
}

const EMPTY = new Uint8Array(0);

function concatenate(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.length;
  }
  return whole;
}
