import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { takeOver } from "../compression/ws-extension.js";
import type { Identity } from "../rpc/context.js";
import { TRUNK_SUBPROTOCOL } from "../wire/trunk.js";
import { Arrival } from "./arrival.js";
import { authenticate, refusalOf, type UpgradeInfo } from "./authentication.js";
import type { Carrier } from "./carrier.js";
import { WebSocketCarrier } from "./carrier.js";
import { isLoopback } from "./origin.js";
import type { Sessions } from "./sessions.js";
import type { Place, TrunkDoor } from "./trunk.js";
import { createUpgrader, maxMessageBytes, refuseUpgrade, type Upgrader } from "./upgrade.js";

/** Why a request begins no link. */
export interface Refused {
  readonly status: number;
  readonly reason: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Whether a request may begin a link. */
export type Admission =
  | { readonly info: UpgradeInfo; readonly leave: () => void }
  | { readonly info: UpgradeInfo; readonly refused: Refused };

/** Who has made a request, or why nobody may. */
export type Authenticated = { readonly identity: Identity | undefined } | { readonly refused: Refused };

/** Where upgrade requests come in: turns away whom it must, and lets the others greet. */
export class Door {
  readonly #sessions: Sessions;
  readonly #upgrader: Upgrader;
  readonly #arrivals = new Set<Arrival>();
  #onEmpty: (() => void) | undefined;
  /** Links, lanes of trunks among them, and upgrades under way, in all and by client address. */
  #connections = 0;
  readonly #byAddress = new Map<string, number>();
  /** Why nobody is let in any more. */
  #closed: string | undefined;
  /** Turn away whom `authenticate` has not answered for yet, before there is a link. */
  readonly #asking = new Set<(reason: string) => void>();
  /** Settles when those have their answer who were being asked for when the door was shut. */
  #answered: Promise<void> | undefined;

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
    const { session, compression, maxLanes } = sessions.settings;
    this.#upgrader = createUpgrader(session.limits.packetBytes, compression, maxLanes > 0);
  }

  /** Turns everybody away from now on, also who is being authenticated before there is a link. */
  shut(reason: string): void {
    this.#closed = reason;
    if (this.#asking.size === 0) return;
    for (const turnAway of this.#asking) turnAway(reason);
    this.#answered = new Promise((resolve) => setImmediate(resolve));
  }

  /** Closes links that have no session yet. Settles when all links are gone, and whoever was on the way in has an answer. */
  async close(code: number, reason: string): Promise<void> {
    this.shut(reason);
    await Promise.all([this.#answered, this.#empty(code, reason)]);
  }

  async #empty(code: number, reason: string): Promise<void> {
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
    const admitted = this.admit(request, true);
    const refuse = ({ status, reason, headers }: Refused) => {
      settings.observer?.refused?.({ address: admitted.info.remoteAddress, status, reason });
      refuseUpgrade(socket, status, reason, headers);
    };
    if ("refused" in admitted) return refuse(admitted.refused);
    // Not where the request is at hand: what listens to the socket would keep it for as long.
    // It happens once; `once` would keep two objects more for it.
    socket.on("close", admitted.leave);
    const { info } = admitted;
    if (!this.#asksFirst) return this.#open(request, socket, head, info, undefined);
    // The HTTP server has let go of the socket, and nobody else listens yet.
    const ignore = () => socket.destroy();
    socket.on("error", ignore);
    void this.authenticate(info).then((answer) => {
      const result = this.unlessShut(answer);
      if ("refused" in result) return refuse(result.refused);
      socket.off("error", ignore);
      if (!socket.destroyed) this.#open(request, socket, head, info, result.identity);
    });
  }

  /** Whether clients are authenticated by their first request, before there is a link. */
  get #asksFirst(): boolean {
    const { authenticate, authenticateAt } = this.#sessions.settings;
    return authenticate !== undefined && authenticateAt === "upgrade";
  }

  /** Why a request may not be made at all, by where it comes from; `undefined`: it may. */
  checkSource(request: IncomingMessage, isUpgrade: boolean): string | undefined {
    const { localAddress } = request.socket;
    return this.#sessions.settings.checkSource({
      headers: headersOf(request),
      localAddress,
      isUpgrade,
    });
  }

  /** Whether a request may begin a link, which is counted until it leaves. */
  admit(request: IncomingMessage, isUpgrade: boolean): Admission {
    const { settings } = this.#sessions;
    const { url = "" } = request;
    const headers = headersOf(request);
    const remoteAddress = clientAddress(request, settings.trustedProxies);
    const info = { headers, url, remoteAddress };
    const refused = (status: number, reason: string, more?: Refused["headers"]): Admission => ({
      info,
      refused: { status, reason, headers: more },
    });
    if (this.#closed !== undefined) return refused(503, this.#closed);
    const wrongSource = this.checkSource(request, isUpgrade);
    if (wrongSource !== undefined) return refused(403, wrongSource);
    const place = this.#place(remoteAddress);
    if ("full" in place) return refused(place.status, place.full, RETRY_AFTER);
    return { info, leave: place.leave };
  }

  /** A place among the connections of all, and of an address, which is counted until it is left. */
  #place(address: string | undefined): Place {
    const { settings } = this.#sessions;
    const { maxConnections, maxConnectionsPerAddress } = settings;
    if (this.#connections >= maxConnections) {
      settings.observer?.limited?.({ limit: "maxConnections", address });
      return { status: 503, full: `${maxConnections} connections are open (maxConnections)` };
    }
    const counted = address !== undefined && (settings.countsLoopback || !isLoopback(address));
    if (counted && (this.#byAddress.get(address) ?? 0) >= maxConnectionsPerAddress) {
      settings.observer?.limited?.({ limit: "maxConnectionsPerAddress", address });
      const full = `${maxConnectionsPerAddress} connections of this address are open (maxConnectionsPerAddress)`;
      return { status: 429, full };
    }
    return { leave: this.#counted(counted ? address : undefined) };
  }

  /** Who is there, where that is asked before there is a link; {@link Door.unlessShut} says whether it still matters. */
  async authenticate(info: UpgradeInfo): Promise<Authenticated> {
    if (!this.#asksFirst) return { identity: undefined };
    const { settings, wallClock, timers } = this.#sessions;
    const { handshakeTimeoutMs } = settings.session;
    let turnAway: (reason: string) => void = () => undefined;
    const turnedAway = new Promise<Authenticated>((resolve) => {
      turnAway = (reason) => resolve({ refused: { status: 503, reason } });
    });
    this.#asking.add(turnAway);
    const late = `authentication took longer than ${handshakeTimeoutMs} ms`;
    const cancel = timers.after(handshakeTimeoutMs, () => turnAway(late));
    const asked = authenticate(settings, wallClock(), info, "", "upgrade").then(
      (identity): Authenticated => ({ identity }),
      (error: unknown): Authenticated => {
        const { httpStatus, reason } = refusalOf(error, settings);
        return {
          refused: { status: httpStatus, reason, headers: httpStatus === 401 ? CHALLENGE : undefined },
        };
      },
    );
    const result = await Promise.race([asked, turnedAway]);
    cancel();
    this.#asking.delete(turnAway);
    return result;
  }

  /** The same as long as the door is open. To be asked at the last moment: it may have been shut since the hook has answered. */
  unlessShut(result: Authenticated): Authenticated {
    return this.#closed === undefined ? result : { refused: { status: 503, reason: this.#closed } };
  }

  /** A link has come in, or a trunk of several. */
  arrive(carrier: Carrier, info: UpgradeInfo, identity: Identity | undefined, isTrunk = false): void {
    const trunk: TrunkDoor | undefined = isTrunk
      ? { whyShut: this.#whyShut, place: () => this.#place(info.remoteAddress) }
      : undefined;
    this.#arrivals.add(new Arrival(carrier, this.#sessions, info, identity, this.#onGone, trunk));
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
          : takeOver(ws, "server", compression, maxMessageBytes(session.limits.packetBytes, ws.protocol));
      this.arrive(
        new WebSocketCarrier(ws, socket, packed),
        info,
        identity,
        ws.protocol === TRUNK_SUBPROTOCOL,
      );
    });
  }

  readonly #whyShut = (): string | undefined => this.#closed;

  readonly #onGone = (arrival: Arrival): void => {
    this.#arrivals.delete(arrival);
    if (this.#arrivals.size === 0) this.#onEmpty?.();
  };

  /** Counts a connection; gives how to count it no more. */
  #counted(address: string | undefined): () => void {
    this.#count(address, 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#count(address, -1);
    };
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

/** What HTTP/2 says of the host under another name (RFC 9113 section 8.3.1) goes by the name that HTTP/1.1 has for it. */
function headersOf({ headers }: IncomingMessage): IncomingMessage["headers"] {
  const authority = headers[":authority"];
  return typeof authority === "string" && headers.host === undefined
    ? { ...headers, host: authority }
    : headers;
}

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
