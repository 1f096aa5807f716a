import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { CloseCode } from "../base/close.js";
import { takeOver } from "../compression/ws-extension.js";
import { type LinkOwner, ObservedLink } from "../driver/observed-link.js";
import { wsLink } from "../driver/ws-link.js";
import type { Identity } from "../rpc/context.js";
import { authenticate, refusalOf, type UpgradeInfo } from "./authentication.js";
import { Greeting } from "./greeting.js";
import { Inflow, MAX_STRANGER_BYTES } from "./inflow.js";
import { isLoopback } from "./origin.js";
import type { LiveSession } from "./session.js";
import type { Sessions } from "./sessions.js";
import { createUpgrader, refuseUpgrade, type Upgrader } from "./upgrade.js";

/** Where upgrade requests come in: turns away whom it must, and lets the others greet. */
export class Door {
  readonly #sessions: Sessions;
  readonly #upgrader: Upgrader;
  readonly #greetings = new Set<Greeting>();
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
    const gone = [...this.#greetings].map((greeting) => greeting.closed);
    for (const greeting of this.#greetings) greeting.close(code, reason);
    await Promise.all(gone);
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
    this.#count(counted ? remoteAddress : undefined, 1);
    socket.once("close", () => this.#count(counted ? remoteAddress : undefined, -1));
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
    const { settings, timers } = this.#sessions;
    this.#upgrader.upgrade(request, socket, head, (ws) => {
      const { observer } = settings;
      const compression =
        settings.compression === undefined
          ? undefined
          : takeOver(ws, "server", settings.compression, settings.session.limits.packetBytes);
      const watch =
        observer === undefined
          ? undefined
          : new ObservedLink("server", info.remoteAddress, observer, timers.clock);
      const inflow = new Inflow(ws, socket, timers, settings, {
        onThrottled: (limit) =>
          observer?.limited?.({ limit, identity: watch?.identity, address: info.remoteAddress }),
        onTooMuch: () =>
          greeting.close(CloseCode.tooBig, `more than ${MAX_STRANGER_BYTES} bytes before authentication`),
      });
      const greeting: Greeting = new Greeting(
        this.#sessions,
        (events) => {
          const link = wsLink(ws, socket, inflow.watch(watch?.events(events) ?? events), compression);
          return watch?.link(link) ?? link;
        },
        info,
        {
          identity,
          onWelcome: () => inflow.welcome(),
          onSession: (session) => {
            if (watch !== undefined) watch.owner = ownerOf(session);
          },
          onGone: () => inflow.end(),
        },
      );
      watch?.opened();
      this.#greetings.add(greeting);
      void greeting.closed.then(() => this.#greetings.delete(greeting));
    });
  }

  #count(address: string | undefined, by: 1 | -1): void {
    this.#connections += by;
    if (address === undefined) return;
    const count = (this.#byAddress.get(address) ?? 0) + by;
    if (count === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, count);
  }
}

function ownerOf(session: LiveSession): LinkOwner {
  return {
    sessionId: session.id,
    get identity() {
      return session.identity?.id;
    },
    get rtt() {
      return session.rtt;
    },
  };
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
