import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { BroadcastLink, LinkEvents } from "../driver/link.js";
import {
  CONTENT_TYPE,
  LINK_HEADER,
  NUMBER_HEADER,
  OPERATION_HEADER,
  VERSION,
  VERSION_HEADER,
} from "../fallback/protocol.js";
import { ServerHttpLink } from "../fallback/server-link.js";
import { refuse, reply } from "../fallback/upstream.js";
import type { Carrier } from "./carrier.js";
import type { Door, Refused } from "./door.js";
import type { Sessions } from "./sessions.js";

/** A link's id is so many random bytes: it is all that a request needs to belong to the link. */
const ID_BYTES = 16;

/** A browser need not ask again for this long, in seconds, whether a page of another origin may make requests. */
const PREFLIGHT_SECONDS = 600;

/** Links over HTTP, by their ids; they come in through the same door as WebSockets. */
export class HttpLinks {
  readonly #sessions: Sessions;
  readonly #door: Door;
  readonly #links = new Map<string, ServerHttpLink>();

  constructor(sessions: Sessions, door: Door) {
    this.#sessions = sessions;
    this.#door = door;
  }

  /**
   * Takes a request for the path that is served.
   *
   * @returns `false` when it is none for a link over HTTP, and nothing was done with it
   */
  take(request: IncomingMessage, response: ServerResponse): boolean {
    if (!this.#sessions.settings.httpFallback) return false;
    const { method, headers } = request;
    if (method === "OPTIONS") {
      const asked = String(headers["access-control-request-headers"] ?? "").toLowerCase();
      if (!asked.split(/\s*,\s*/).includes(OPERATION_HEADER)) return false;
      this.#preflight(request, response);
      return true;
    }
    if (method !== "POST" || headers[OPERATION_HEADER] === undefined) return false;
    this.#post(request, response);
    return true;
  }

  /** A browser asks for a page of another origin. */
  #preflight(request: IncomingMessage, response: ServerResponse): void {
    if (!this.#checkSource(request, response)) return;
    response.setHeader("access-control-allow-methods", "POST");
    response.setHeader(
      "access-control-allow-headers",
      `authorization, content-type, ${OPERATION_HEADER}, ${LINK_HEADER}, ${NUMBER_HEADER}`,
    );
    response.setHeader("access-control-max-age", PREFLIGHT_SECONDS);
    reply(response, 204);
  }

  #post(request: IncomingMessage, response: ServerResponse): void {
    // Every request: cookies come by themselves, and the origin is all that tells a page of another site from our own.
    if (!this.#checkSource(request, response)) return;
    const { headers } = request;
    if (headers["content-type"] !== CONTENT_TYPE) {
      return refuse(request, response, 415, `the content must be ${CONTENT_TYPE}`);
    }
    const operation = headers[OPERATION_HEADER];
    if (operation === "open") {
      void this.#open(request, response);
      return;
    }
    const id = headers[LINK_HEADER];
    const link = typeof id === "string" ? this.#links.get(id) : undefined;
    // The same whether it never was, or is no longer.
    if (link === undefined) return refuse(request, response, 404, "there is no such link");
    const text = headers[NUMBER_HEADER];
    const number = typeof text === "string" && /^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined;
    if (operation === "send" && number !== undefined) return link.onSend(number, request, response);
    if (operation !== "poll" && operation !== "stream") {
      return refuse(request, response, 400, `${OPERATION_HEADER} and ${NUMBER_HEADER} do not say what to do`);
    }
    // They bring nothing; what they bring all the same is not looked at.
    request.resume();
    if (operation === "stream") link.onStream(request, response);
    else if (number !== undefined) link.onPoll(number, request, response);
    else refuse(request, response, 400, `a poll needs ${NUMBER_HEADER}`);
  }

  async #open(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const admitted = this.#door.admit(request, false);
    const { info } = admitted;
    const turnAway = ({ status, reason, headers = {} }: Refused) => {
      const { observer } = this.#sessions.settings;
      observer?.refused?.({ address: info.remoteAddress, status, reason });
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      refuse(request, response, status, reason);
    };
    if ("refused" in admitted) return turnAway(admitted.refused);
    const result = this.#door.unlessShut(await this.#door.authenticate(info));
    if ("refused" in result) {
      admitted.leave();
      return turnAway(result.refused);
    }
    if (response.destroyed) return admitted.leave();
    request.resume();
    const id = randomBytes(ID_BYTES).toString("hex");
    const carrier = new HttpCarrier(this.#sessions, () => {
      this.#links.delete(id);
      admitted.leave();
    });
    this.#door.arrive(carrier, info, result.identity);
    this.#links.set(id, carrier.link);
    response.setHeader(LINK_HEADER, id);
    response.setHeader("cache-control", "no-store");
    reply(response, 200);
  }

  /** Whether the request may be made where it comes from; it is answered when it may not. */
  #checkSource(request: IncomingMessage, response: ServerResponse): boolean {
    response.setHeader(VERSION_HEADER, VERSION);
    const wrong = this.#door.checkSource(request, false);
    if (wrong !== undefined) {
      const address = request.socket.remoteAddress;
      this.#sessions.settings.observer?.refused?.({ address, status: 403, reason: wrong });
      refuse(request, response, 403, wrong);
      return false;
    }
    const { origin } = request.headers;
    if (origin !== undefined) {
      // With a WebSocket, too, whoever may connect does so with its cookies.
      response.setHeader("access-control-allow-origin", origin);
      response.setHeader("access-control-allow-credentials", "true");
      response.setHeader("access-control-expose-headers", `${LINK_HEADER}, ${VERSION_HEADER}`);
      response.setHeader("vary", "Origin");
    }
    return true;
  }
}

/** The requests of one client. */
class HttpCarrier implements Carrier {
  readonly transport = "http";
  readonly #sessions: Sessions;
  readonly #onGone: () => void;
  #link: ServerHttpLink | undefined;
  #onBytes: ((bytes: number) => void) | undefined;
  #onOther: ((bytes: number) => void) | undefined;

  constructor(sessions: Sessions, onGone: () => void) {
    this.#sessions = sessions;
    this.#onGone = onGone;
  }

  get link(): ServerHttpLink {
    if (this.#link === undefined) throw new Error("the link was not opened");
    return this.#link;
  }

  open(events: LinkEvents): BroadcastLink {
    const { timers, settings } = this.#sessions;
    this.#link = new ServerHttpLink({
      timers,
      events,
      maxPacketBytes: settings.session.limits.packetBytes,
      silenceMs: settings.session.pingTimeoutMs,
      onBytes: (bytes) => this.#onBytes?.(bytes),
      onRequest: () => this.#onOther?.(0),
      onGone: this.#onGone,
    });
    return this.#link;
  }

  pause(): void {
    this.#link?.pause();
  }

  resume(): void {
    this.#link?.resume();
  }

  watchBytes(listener: ((bytes: number) => void) | undefined): void {
    this.#onBytes = listener;
  }

  watchOthers(listener: (bytes: number) => void): void {
    this.#onOther = listener;
  }
}
