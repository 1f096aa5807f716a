import type { Broker, BrokerHost, Feed, FeedEvents, Published, TopicSpec } from "../broker/broker.js";
import type { Bus } from "../broker/bus.js";
import { BrokerSession } from "./broker-session.js";
import { openLink } from "./connection.js";
import { unavailable } from "./errors.js";
import { type BrokerSettings, brokerSettings, type NatsBrokerOptions } from "./options.js";

/**
 * A broker on NATS, for servers of many nodes. Topics without history go over core NATS; topics with history through
 * JetStream: one file stream for all topics with the same limits, which is made when it is missing.
 *
 * - Without history, a publication has no place of its own: what publishing resolves with has the epoch `""` and the offset 0,
 *   and every node numbers on its own. After a break of the connection there is a gap, `brokerLoss`.
 * - With history, the offset is the sequence in the stream, which other topics share: offsets increase, and not by one. A
 *   publication is stored once for each id within two minutes, or within `history.ttlMs` if that is less, and is tried for
 *   `publishTimeoutMs` through elections and restarts. Publications of one caller keep their order, except when a leader of
 *   the stream changes between two that are on their way.
 * - `history.size` counts publications, of topics that conflate too.
 *
 * NATS 2.9 or newer; JetStream for topics with history. Use one broker for one server.
 *
 * @throws TypeError or RangeError for a wrong option.
 */
export function natsBroker(options: NatsBrokerOptions = {}): Broker {
  return new NatsBroker(brokerSettings(options));
}

/** The broker before and after it has a connection; what it does with one is in {@link BrokerSession}. */
class NatsBroker implements Broker {
  readonly #settings: BrokerSettings;
  #session: BrokerSession | undefined;
  #closed = false;

  constructor(settings: BrokerSettings) {
    this.#settings = settings;
  }

  get bus(): Bus | undefined {
    return this.#session?.bus;
  }

  async start(host: BrokerHost): Promise<void> {
    const warn = (message: string, ...details: unknown[]): void => host.warn(message, ...details);
    const link = await openLink(this.#settings, warn, () => this.#closed);
    const session = new BrokerSession(link, host, this.#settings);
    if (this.#closed) {
      await session.close();
      throw unavailable("the broker is closed");
    }
    this.#session = session;
    await session.start();
  }

  async follow(topic: TopicSpec, events: FeedEvents): Promise<Feed> {
    return this.#running().follow(topic, events);
  }

  async publish(topic: TopicSpec, payload: Uint8Array, key: string, id?: string): Promise<Published> {
    return this.#running().publish(topic, payload, key, id);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#session?.close();
  }

  #running(): BrokerSession {
    if (this.#session === undefined || this.#closed) {
      throw unavailable(this.#closed ? "the broker is closed" : "the broker has not started");
    }
    return this.#session;
  }
}
