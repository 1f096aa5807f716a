import type { HeapItem } from "../base/heap.js";
import { violation } from "../session/violation.js";
import type { WireLimits } from "../wire/frame.js";
import type { Held } from "./held.js";
import { Receiver } from "./receiver.js";
import { Sender } from "./sender.js";

/** {@link Sender.id} before the Open is sent, and once the session it was sent in is lost. */
export const UNOPENED = 0;
export const LOST = -1;

/** What a call needs of the table it stands in. */
export interface CallTable {
  /** What this side is ready to receive. */
  readonly limits: WireLimits;
  readonly held: Held;
}

/** One call, on either side. Both halves, and one place in the table and in the heap of deadlines. */
export abstract class Call implements HeapItem {
  dueAt: number = Number.POSITIVE_INFINITY;
  heapIndex = -1;
  readonly sender: Sender;
  readonly plain: boolean;
  readonly receiver: Receiver;
  /** The call has its outcome. */
  finished = false;

  /** @param plain its packets must not be compressed */
  constructor({ limits, held }: CallTable, plain: boolean) {
    this.plain = plain;
    this.sender = new Sender(held);
    this.receiver = new Receiver(limits.creditBytes, limits.messageBytes, held);
  }

  /**
   * The other side sends no more messages.
   *
   * @throws WireError (1002) inside a message.
   */
  endReceived(): void {
    if (this.receiver.incomplete) throw violation(`end of call ${this.sender.id} inside a message`);
    this.receiver.ended = true;
  }

  /** The deadline, or the longest wait for a connection, has come. */
  abstract expired(): void;
  /** Its messages have waited too long for room. */
  abstract starved(reason: string): void;
  /** The session that the call was opened in is lost. `unwritten`: nothing of it was ever written to a link. */
  abstract lost(unwritten: boolean): void;
  /** A message is complete, or the other side has ended. */
  abstract received(): void;
}
