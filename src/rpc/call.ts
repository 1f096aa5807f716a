import type { HeapItem } from "../base/heap.js";
import { Receiver } from "./receiver.js";
import { Sender } from "./sender.js";

/** One call, on either side. Both halves, and one place in the table and in the heap of deadlines. */
export abstract class Call implements HeapItem {
  dueAt: number = Number.POSITIVE_INFINITY;
  heapIndex = -1;
  readonly sender: Sender = new Sender();
  readonly receiver: Receiver;
  /** The call has its outcome. */
  finished = false;

  constructor(window: number, messageBytes: number) {
    this.receiver = new Receiver(window, messageBytes);
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
