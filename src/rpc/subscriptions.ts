import type { AttachedFrame, PositionFrame, PublicationFrame, WireLimits } from "../wire/frame.js";
import type { CallingCall, CallSession } from "./call-table.js";
import { Subscription, type SubscriptionOwner } from "./subscription.js";

/** Calls of this side that get their messages from topics. */
export class Subscriptions implements SubscriptionOwner {
  readonly window: number;
  readonly messageBytes: number;
  readonly #session: CallSession;
  readonly #all = new Set<Subscription>();
  /** By the numbers that the present link uses. */
  readonly #byTopic = new Map<number, Subscription>();

  constructor(session: CallSession, { creditBytes, messageBytes }: WireLimits) {
    this.#session = session;
    this.window = creditBytes;
    this.messageBytes = messageBytes;
  }

  publication(frame: PublicationFrame): void {
    // Unknown ones belong to calls that have been left.
    this.#byTopic.get(frame.topic)?.publication(frame);
  }

  attached(call: CallingCall, frame: AttachedFrame): void {
    let { subscription } = call;
    if (subscription === undefined) {
      subscription = new Subscription(this, call);
      call.subscription = subscription;
      call.receiver.tracker = subscription;
      this.#all.add(subscription);
    }
    subscription.attached(frame);
  }

  /** There is another link: says where all are. */
  resumed(): void {
    this.#byTopic.clear();
    for (const subscription of this.#all) subscription.locate();
  }

  // ---- for subscriptions ---------------------------------------------------------------------------------------

  numbered(subscription: Subscription, topic: number): void {
    this.#byTopic.set(topic, subscription);
  }

  send(frame: PositionFrame): void {
    this.#session.position(frame);
  }

  left(subscription: Subscription, topic: number): void {
    this.#all.delete(subscription);
    if (this.#byTopic.get(topic) === subscription) this.#byTopic.delete(topic);
  }
}
