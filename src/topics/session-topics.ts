import type { TopicSinkEvents } from "../rpc/topic.js";
import type { Subscriber } from "./subscriber.js";

/** The subscribers of one session. */
export class SessionTopics implements TopicSinkEvents {
  /** Number of the flush in which the link was corked last. */
  corked = 0;
  readonly #subscribers = new Set<Subscriber>();

  get size(): number {
    return this.#subscribers.size;
  }

  [Symbol.iterator](): IterableIterator<Subscriber> {
    return this.#subscribers.values();
  }

  add(subscriber: Subscriber): void {
    this.#subscribers.add(subscriber);
  }

  delete(subscriber: Subscriber): void {
    this.#subscribers.delete(subscriber);
  }

  linkUp(): void {
    for (const subscriber of this.#subscribers) subscriber.linkUp();
  }

  linkDown(): void {
    for (const subscriber of this.#subscribers) subscriber.linkDown();
  }

  drained(): void {
    for (const subscriber of this.#subscribers) subscriber.drained();
  }
}
