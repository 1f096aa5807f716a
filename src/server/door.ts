import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { takeOver } from "../compression/ws-extension.js";
import type { Identity } from "../rpc/context.js";
import { Arrival } from "./arrival.js";
import { authenticate, refusalOf, type UpgradeInfo } from "./authentication.js";
import { isLoopback } from "./origin.js";
import type { Sessions } from "./sessions.js";
import { createUpgrader, refuseUpgrade, type Upgrader } from "./upgrade.js";

/** Where upgrade requests come in: turns away whom it must, and lets the others greet. */
export class Door {
  readonly #sessions: Sessions;
  readonly #upgrader: Upgrader;
  readonly #arrivals = new Set<Arrival>();
  #onEmpty: (() => void) | undefined;
  /** Links and upgrades under way, in all and by client address. */
  #connections = 0;
  readonly #byAddress = new Map<string, number>();
  /** Why nobody is let in any more. */
  #closed: string | undefined;

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
    this.#upgrader = createUpgrader(
      sessions.settings.session.limits.packetBytes,
      sessions.settings.compression,
    );
  }

  /** Turns everybody away from now on. */
  shut(reason: string): void {
    this.#closed = reason;
  }

  /** Closes links that have no session yet. Settles when all links are gone. */
  async close(code: number, reason: string): Promise<void> {
    this.shut(reason);
    const gone = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    for (const arrival of this.#arrivals) arrival.close(code, reason);
    if (this.#arrivals.size === 0) return;
    await gone;
  }

  /** Takes an upgrade request for the path that is served. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { settings } = this.#sessions;
    const { headers, url = "" } = request;
    const { localAddress } = request.socket;
    const remoteAddress = clientAddress(request, settings.trustedProxies);
    const refuse = (status: number, reason: string, more?: Readonly<Record<string, string>>) => {
      settings.observer?.refused?.({ address: remoteAddress, status, reason });
      refuseUpgrade(socket, status, reason, more);
    };
    if (this.#closed !== undefined) return refuse(503, this.#closed);
    const refused = settings.checkSource({ headers, localAddress });
    if (refused !== undefined) return refuse(403, refused);
    const { maxConnections, maxConnectionsPerAddress } = settings;
    if (this.#connections >= maxConnections) {
      settings.observer?.limited?.({ limit: "maxConnections", address: remoteAddress });
      return refuse(503, `${maxConnections} connections are open (maxConnections)`, RETRY_AFTER);
    }
    const counted = remoteAddress !== undefined && (settings.countsLoopback || !isLoopback(remoteAddress));
    if (counted && (this.#byAddress.get(remoteAddress) ?? 0) >= maxConnectionsPerAddress) {
      const reason = `${maxConnectionsPerAddress} connections of this address are open (maxConnectionsPerAddress)`;
      settings.observer?.limited?.({ limit: "maxConnectionsPerAddress", address: remoteAddress });
      return refuse(429, reason, RETRY_AFTER);
    }
    this.#countUntilClosed(socket, counted ? remoteAddress : undefined);
    const info = { headers, url, remoteAddress };
    if (settings.authenticate === undefined || settings.authenticateAt === "hello") {
      this.#open(request, socket, head, info, undefined);
      return;
    }
    this.#authenticate(socket, info).then(
      (identity) => {
        if (identity !== undefined && !socket.destroyed) this.#open(request, socket, head, info, identity);
      },
      (error: unknown) => {
        const { httpStatus, reason } = refusalOf(error, settings);
        refuse(httpStatus, reason, httpStatus === 401 ? CHALLENGE : undefined);
      },
    );
  }

  /** `undefined` when it took too long: the request is answered then. */
  async #authenticate(socket: Duplex, info: UpgradeInfo): Promise<Identity | undefined> {
    const { settings, wallClock, timers } = this.#sessions;
    // The HTTP server has let go of the socket, and nobody else listens yet.
    const ignore = () => socket.destroy();
    socket.on("error", ignore);
    const { handshakeTimeoutMs } = settings.session;
    let late = false;
    const cancel = timers.after(handshakeTimeoutMs, () => {
      late = true;
      refuseUpgrade(socket, 503, `authentication took longer than ${handshakeTimeoutMs} ms`);
    });
    try {
      const identity = await authenticate(settings, wallClock(), info, "", "upgrade");
      return late ? undefined : identity;
    } catch (error) {
      if (late) return undefined;
      throw error;
    } finally {
      cancel();
      if (!late) socket.off("error", ignore);
    }
  }

  #open(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    info: UpgradeInfo,
    identity: Identity | undefined,
  ): void {
    this.#upgrader.upgrade(request, socket, head, (ws) => {
      const { compression, session } = this.#sessions.settings;
      const packed =
        compression === undefined
          ? undefined
          : takeOver(ws, "server", compression, session.limits.packetBytes);
      this.#arrivals.add(new Arrival(ws, socket, this.#sessions, info, identity, packed, this.#onGone));
    });
  }

  readonly #onGone = (arrival: Arrival): void => {
    this.#arrivals.delete(arrival);
    if (this.#arrivals.size === 0) this.#onEmpty?.();
  };

  /** Not where the request is at hand: what listens to the socket would keep it for as long. */
  #countUntilClosed(socket: Duplex, address: string | undefined): void {
    this.#count(address, 1);
    socket.once("close", () => this.#count(address, -1));
  }

  #count(address: string | undefined, by: 1 | -1): void {
    this.#connections += by;
    if (address === undefined) return;
    const count = (this.#byAddress.get(address) ?? 0) + by;
    if (count === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, count);
  }
}

/** There may be room again in a moment. */
const RETRY_AFTER = { "Retry-After": "5" };
const CHALLENGE = { "WWW-Authenticate": "Bearer" };

/** The address of a client behind so many proxies that each append what they see. */
function clientAddress(request: IncomingMessage, trustedProxies: number): string | undefined {
  const { remoteAddress } = request.socket;
  if (trustedProxies === 0) return remoteAddress;
  const header = request.headers["x-forwarded-for"];
  const seen = (Array.isArray(header) ? header.join(",") : (header ?? ""))
    .split(",")
    .map((text) => text.trim());
  const address = seen.at(-trustedProxies);
  return address === undefined || address === "" ? remoteAddress : address;
}
