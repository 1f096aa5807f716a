import { CloseCode } from "../base/close.js";
import type { DialFailure } from "./platform.js";

/** How a connection goes over HTTP where WebSockets do not get through. */
export interface FallbackOptions {
  /**
   * While the connection goes over HTTP, a WebSocket is tried again after this time, in milliseconds, then after twice the
   * time, and so on up to sixteen times as long. Default 15,000.
   */
  readonly retryWebSocketMs?: number;
}

/** Failures in a row after which a WebSocket counts as blocked: where none was ever open, and where one was. */
const FAILURES = 2;
const FAILURES_AFTER_OPEN = 4;
const MOST_DOUBLINGS = 4;
/** Leaving HTTP for one that gives no Welcome costs the time of a handshake. */
const MOST_DOUBLINGS_MUTE = 8;

/**
 * Decides when HTTP takes the place of WebSockets. A server that is down is never taken for one that cannot be reached by a
 * WebSocket: HTTP is only tried, and used when the server answers.
 */
export class Detour {
  readonly #retryMs: number;
  #failures = 0;
  #wasOpen = false;
  #blocked = false;
  #probes = 0;
  /** HTTP was left for a WebSocket that answered, and then gave no Welcome. */
  #isMute = false;

  constructor(retryMs: number) {
    this.#retryMs = retryMs;
  }

  /** Whether an attempt begins with HTTP. */
  get httpFirst(): boolean {
    return this.#blocked;
  }

  /** A WebSocket could not be opened. Whether HTTP is to be tried at once. */
  failed({ by }: DialFailure, tookTooLong: boolean): boolean {
    if (by === "server") {
      this.#failures = 0;
      return false;
    }
    this.#failures += tookTooLong ? FAILURES : 1;
    return by === "between" || this.#failures >= this.#patience;
  }

  /** A WebSocket was opened and gave no Welcome in time. */
  mute(): void {
    if (this.#blocked) {
      this.#isMute = true;
      this.#probes = Math.max(this.#probes, MOST_DOUBLINGS);
    }
    this.#blocked = true;
  }

  /** A WebSocket was opened, and broke before its Welcome: something on the way lets no frames through, or the server fell. */
  broke(): void {
    this.#failures++;
    if (this.#blocked || this.#failures >= this.#patience) this.mute();
  }

  get #patience(): number {
    return this.#wasOpen ? FAILURES_AFTER_OPEN : FAILURES;
  }

  /** A session is open. */
  opened(overHttp: boolean): void {
    this.#failures = 0;
    if (overHttp) this.#blocked = true;
    else {
      this.#blocked = false;
      this.#isMute = false;
      this.#wasOpen = true;
      this.#probes = 0;
    }
  }

  /** HTTP does not lead to the server, or not any more: the next attempt begins with a WebSocket, and goes on with HTTP. */
  httpFailed(): void {
    if (this.#blocked) this.#failures = FAILURES_AFTER_OPEN;
    this.#blocked = false;
  }

  /** In how long a WebSocket is tried beside HTTP, in milliseconds. */
  nextProbe(): number {
    const doublings = this.#isMute ? MOST_DOUBLINGS_MUTE : MOST_DOUBLINGS;
    return this.#retryMs * 2 ** Math.min(this.#probes++, doublings);
  }
}

/**
 * Neither a WebSocket nor HTTP could be opened. What is reported: what the server itself says; otherwise nothing that would make
 * a client give up: what something on the way says may be over soon.
 */
export function worst(webSocket: DialFailure, http: DialFailure): DialFailure {
  if (http.by === "server") return http;
  const { code: first } = webSocket;
  const isFinal = first === CloseCode.permissionDenied || first === CloseCode.unauthenticated;
  const code = isFinal ? CloseCode.abnormal : first;
  return { code, reason: `${webSocket.reason}; over HTTP: ${http.reason}` };
}
