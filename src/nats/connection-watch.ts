import { errors, type NatsConnection } from "@nats-io/transport-node";

/** One for each connection, since it listens for as long as the connection lives. */
const watches = new WeakMap<NatsConnection, ConnectionWatch>();

/** Follows whether a connection is up. */
export function watchConnection(connection: NatsConnection): ConnectionWatch {
  let watch = watches.get(connection);
  if (watch === undefined) {
    watch = new ConnectionWatch(connection);
    watches.set(connection, watch);
  }
  return watch;
}

/**
 * Knows whether a connection is up, and gives up on what is under way when it is lost. The client of NATS does neither: what
 * is published while it is disconnected is lost in silence, and a request whose answer cannot come any more waits for its
 * timeout.
 */
export class ConnectionWatch {
  readonly #connection: NatsConnection;
  #connected = true;
  /** How to give up on each task that is under way. */
  readonly #giveUp = new Set<(reason: Error) => void>();

  /** @see watchConnection */
  constructor(connection: NatsConnection) {
    this.#connection = connection;
    void this.#follow();
  }

  /** Whether something may be sent now. */
  get up(): boolean {
    const connection = this.#connection;
    // While it dials anew there is nothing known of the server.
    return (
      this.#connected && connection.info !== undefined && !connection.isClosed() && !connection.isDraining()
    );
  }

  /**
   * What a task comes to that sends something and waits for the answer.
   *
   * @throws ConnectionError when the connection is down, or is lost before the task has ended: its message may have arrived.
   */
  during<T>(task: () => Promise<T>): Promise<T> {
    if (!this.up) return Promise.reject(new errors.ConnectionError("not connected"));
    return new Promise<T>((resolve, reject) => {
      this.#giveUp.add(reject);
      const over = () => this.#giveUp.delete(reject);
      task().then(resolve, reject).finally(over);
    });
  }

  async #follow(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (type === "reconnect") this.#connected = true;
      if (type === "disconnect") this.#lost();
    }
    this.#lost();
  }

  #lost(): void {
    this.#connected = false;
    const reason = new errors.ConnectionError("the connection was lost");
    for (const giveUp of this.#giveUp) giveUp(reason);
    this.#giveUp.clear();
  }
}
