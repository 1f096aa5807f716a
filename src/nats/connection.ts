import { connect, createInbox, type NatsConnection, type Status } from "@nats-io/transport-node";
import { unavailable } from "./errors.js";
import type { BrokerSettings } from "./options.js";

/** The oldest server that has all that is needed. */
const OLDEST = [2, 9];

/** How often connecting for the first time is attempted. */
const RETRY_MS = 250;

/** A connection to NATS that says when it breaks, and when it is back. */
export class NatsLink {
  readonly connection: NatsConnection;
  /** Beginning of the subjects that answers come to. */
  readonly inbox: string;
  /** Counts the times that the connection broke. */
  breaks = 0;
  readonly #owned: boolean;
  readonly #inboxPrefix: string | undefined;
  readonly #listeners = new Set<(up: boolean) => void>();
  #up: boolean;

  constructor(connection: NatsConnection, owned: boolean, inboxPrefix: string | undefined) {
    this.connection = connection;
    this.inbox = createInbox(inboxPrefix);
    this.#owned = owned;
    this.#inboxPrefix = inboxPrefix;
    this.#up = connected(connection);
    void this.#watch(connection.status());
  }

  /** Whether what is published now goes out. The client keeps nothing for a connection that is broken. */
  get up(): boolean {
    return this.#up && connected(this.connection);
  }

  /** A subject for answers that nobody else has. */
  newInbox(): string {
    return createInbox(this.#inboxPrefix);
  }

  /** Tells when the connection breaks and when it is back. Returns how to stop it. */
  onChange(listener: (up: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Sends what was published before, and closes the connection if it is ours. */
  async close(): Promise<void> {
    this.#listeners.clear();
    if (this.connection.isClosed()) return;
    if (this.up) await settledWithin(this.connection.flush(), 2_000);
    if (this.#owned) await this.connection.close();
  }

  async #watch(statuses: AsyncIterable<Status>): Promise<void> {
    for await (const { type } of statuses) {
      if (type === "disconnect" || type === "close") this.#change(false);
      else if (type === "reconnect") this.#change(true);
    }
    this.#change(false);
  }

  #change(up: boolean): void {
    if (!up) this.breaks += 1;
    if (up === this.#up) return;
    this.#up = up;
    for (const listener of [...this.#listeners]) listener(up);
  }
}

/** `info` is there from the greeting of a server until its connection breaks. */
function connected(connection: NatsConnection): boolean {
  return !connection.isClosed() && connection.info !== undefined;
}

/**
 * Connects, and tries again until it succeeds or `isClosed`.
 *
 * @throws Error when it never will: credentials that the server refuses, options that do not fit, a server that is too old.
 */
export async function openLink(
  { connection, connect: options }: BrokerSettings,
  warn: (message: string, ...details: unknown[]) => void,
  isClosed: () => boolean,
): Promise<NatsLink> {
  if (connection !== undefined) {
    checkServer(connection);
    return new NatsLink(connection, false, options.inboxPrefix);
  }
  for (let attempt = 1; ; attempt++) {
    try {
      const made = await connect({ ...options });
      try {
        checkServer(made);
      } catch (error) {
        await made.close();
        throw error;
      }
      return new NatsLink(made, true, options.inboxPrefix);
    } catch (error) {
      if (isFinal(error as Error)) throw error;
      if (isClosed()) throw unavailable("the broker was closed", "no", error);
      if (attempt === 1) warn("NATS cannot be reached; trying again", error);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** Whether trying again would lead to the same. */
function isFinal(error: Error): boolean {
  return (
    error instanceof UnfitServer ||
    ["AuthorizationError", "UserAuthenticationExpiredError", "InvalidArgumentError", "TypeError"].includes(
      error.name,
    )
  );
}

/** A server that cannot be used. */
class UnfitServer extends Error {
  override readonly name = "UnfitServer";
}

function checkServer({ info }: NatsConnection): void {
  if (info === undefined) return;
  const [major = 0, minor = 0] = info.version.split(".").map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST;
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
    throw new UnfitServer(`NATS server ${info.version} is too old: ${OLDEST.join(".")} is needed`);
  }
  if (info.headers !== true)
    throw new UnfitServer("the NATS server does not allow headers, which are needed");
}

/** Waits for a promise, whatever comes of it, but not for ever. */
export async function settledWithin(promise: Promise<unknown>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([promise.catch(() => {}), timeout]);
  clearTimeout(timer);
}
