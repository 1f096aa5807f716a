import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { TokenBucket } from "../base/token-bucket.js";
import type { LinkEvents } from "../driver/link.js";
import type { Timers } from "../driver/timers.js";

/** What a client may send before it is authenticated: a Hello with credentials, and the frame around it. */
export const MAX_STRANGER_BYTES: number = 36 * 1024;

/** What an {@link Inflow} keeps to. */
export interface InflowLimits {
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
}

/** What an {@link Inflow} tells. */
export interface InflowHost {
  /** Reading stops for a while, because of this limit. */
  onThrottled(limit: "messagesPerSecond" | "bytesPerSecond"): void;
  /** More has come than a stranger may send: the link must be closed. */
  onTooMuch(): void;
}

/**
 * What comes in over one WebSocket: little until the client is known, and from then on no more per second than is allowed.
 *
 * Above the rate the socket is not read for a while. The client's writes wait then, as on a slow network: honest clients
 * lose nothing, and others cannot make the server work faster.
 */
export class Inflow {
  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  readonly #timers: Timers;
  readonly #messages: TokenBucket | undefined;
  readonly #bytes: TokenBucket | undefined;
  readonly #host: InflowHost;
  #strange = 0;
  #resume: (() => void) | undefined;

  constructor(
    ws: WebSocket,
    socket: Duplex,
    timers: Timers,
    { messagesPerSecond, bytesPerSecond }: InflowLimits,
    host: InflowHost,
  ) {
    this.#ws = ws;
    this.#socket = socket;
    this.#timers = timers;
    this.#host = host;
    const never = Number.POSITIVE_INFINITY;
    if (messagesPerSecond < never) this.#messages = new TokenBucket(messagesPerSecond);
    if (bytesPerSecond < never) this.#bytes = new TokenBucket(bytesPerSecond);
    socket.on("data", this.#onStrange);
  }

  /** The client is known: it may send more. */
  welcome(): void {
    this.#socket.off("data", this.#onStrange);
  }

  /** The link is gone. */
  end(): void {
    this.welcome();
    this.#resume?.();
    this.#resume = undefined;
  }

  /** Events that count what they pass on. */
  watch(events: LinkEvents): LinkEvents {
    if (this.#messages === undefined && this.#bytes === undefined) return events;
    // Pings and pongs of WebSocket itself are answered or dropped by `ws`; they take their part of the rate.
    this.#ws.on("ping", this.#onControl).on("pong", this.#onControl);
    return {
      ...events,
      onMessage: (bytes) => {
        events.onMessage(bytes);
        this.#count(bytes.length);
      },
    };
  }

  #count(bytes: number): void {
    const now = this.#timers.clock();
    const messagesWait = this.#messages?.take(1, now) ?? 0;
    const bytesWait = this.#bytes?.take(bytes, now) ?? 0;
    const wait = Math.max(messagesWait, bytesWait);
    if (wait === 0 || this.#resume !== undefined) return;
    this.#host.onThrottled(messagesWait > bytesWait ? "messagesPerSecond" : "bytesPerSecond");
    this.#ws.pause();
    const cancel = this.#timers.after(wait, () => {
      this.#resume = undefined;
      this.#ws.resume();
    });
    this.#resume = cancel;
  }

  readonly #onControl = (data: Buffer): void => this.#count(data.length);

  readonly #onStrange = (chunk: Buffer): void => {
    this.#strange += chunk.length;
    if (this.#strange <= MAX_STRANGER_BYTES) return;
    this.welcome();
    this.#host.onTooMuch();
    // Whatever length the frame has announced: nothing more of it is read.
    this.#ws.pause();
  };
}
