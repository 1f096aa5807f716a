import type { Msg, Subscription } from "@nats-io/transport-node";
import type { NatsLink } from "./connection.js";

/** Hears an answer. `rest` is what follows the subject that {@link Replies.register} gave, without the dot. */
export type OnReply = (rest: string, message: Msg) => void;

/** All answers come by one subscription: the client's own requests cost several times as much. */
export class Replies {
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #handlers = new Map<string, OnReply>();
  #count = 0;

  constructor(link: NatsLink) {
    this.#inbox = link.inbox;
    this.#subscription = link.connection.subscribe(`${link.inbox}.>`, {
      callback: (error, message) => {
        if (error === null) this.#dispatch(message);
      },
    });
  }

  /** A subject that answers are to be sent to, or to anything below it; and how to end it. */
  register(onReply: OnReply): { readonly subject: string; close(): void } {
    const name = (this.#count++).toString(36);
    this.#handlers.set(name, onReply);
    return { subject: `${this.#inbox}.${name}`, close: () => this.#handlers.delete(name) };
  }

  close(): void {
    this.#handlers.clear();
    this.#subscription.unsubscribe();
  }

  #dispatch(message: Msg): void {
    const path = message.subject;
    const start = this.#inbox.length + 1;
    const dot = path.indexOf(".", start);
    const name = dot === -1 ? path.slice(start) : path.slice(start, dot);
    this.#handlers.get(name)?.(dot === -1 ? "" : path.slice(dot + 1), message);
  }
}
