import type { IncomingMessage, ServerResponse } from "node:http";
import { CloseCode } from "../base/close.js";
import { BODY_BYTES, MAX_SENDS } from "./protocol.js";
import {
  BodyCollector,
  checkBody,
  type HttpRecord,
  RECORD_HEAD_BYTES,
  RecordError,
  recordsOf,
} from "./records.js";

/** A `send` request that is not handled yet. */
interface Arriving {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: BodyCollector;
  /** All of it has come, and can be read. */
  whole: boolean;
}

/** What an {@link Upstream} tells its link. */
export interface UpstreamEvents {
  /** Bytes have come in. */
  onBytes(bytes: number): void;
  onRecord(record: HttpRecord): void;
  /** A body cannot be read. */
  onBroken(closeCode: number, reason: string): void;
}

/** What a client brings over HTTP: `send` requests, each handled once and in the order of their numbers. */
export class Upstream {
  readonly #events: UpstreamEvents;
  readonly #maxPacketBytes: number;
  readonly #arriving = new Map<number, Arriving>();
  #next = 1;
  #bytes = 0;
  #paused = false;
  #ended = false;
  #handling = false;

  constructor(maxPacketBytes: number, events: UpstreamEvents) {
    this.#maxPacketBytes = maxPacketBytes;
    this.#events = events;
  }

  /** Handles nothing more, and answers nothing, until {@link Upstream.resume}. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#handle();
  }

  /** A `send` request has come. */
  take(number: number, request: IncomingMessage, response: ServerResponse): void {
    if (number < this.#next) {
      // It has been handled, and its answer was lost.
      request.resume();
      return reply(response, 204);
    }
    if (number >= this.#next + MAX_SENDS)
      return refuse(request, response, 409, "too many requests ahead of their turn");
    const most = this.#maxPacketBytes + RECORD_HEAD_BYTES;
    const announced = Number(request.headers["content-length"] ?? most);
    if (!(announced <= most)) return this.#tooLong(request, response, most);
    const before = this.#arriving.get(number);
    if (before !== undefined) this.#drop(number, before, 409, "the request was made again");
    const arriving: Arriving = { request, response, body: new BodyCollector(announced), whole: false };
    this.#arriving.set(number, arriving);
    request.on("data", (chunk: Buffer) => {
      if (this.#arriving.get(number) !== arriving) return;
      this.#events.onBytes(chunk.length);
      // That may have been too much.
      if (this.#arriving.get(number) !== arriving) return;
      if (arriving.body.length + chunk.length > most) {
        this.#forget(number, arriving);
        return this.#tooLong(request, response, most);
      }
      if (this.#bytes + chunk.length > most + BODY_BYTES)
        return this.#drop(number, arriving, 429, "too much has come ahead of its turn");
      this.#bytes += chunk.length;
      arriving.body.add(chunk);
    });
    request.once("end", () => {
      if (this.#arriving.get(number) !== arriving) return;
      try {
        checkBody(arriving.body.bytes, this.#maxPacketBytes);
      } catch (error) {
        this.#forget(number, arriving);
        if (!(error instanceof RecordError)) throw error;
        reply(response, error.closeCode === CloseCode.tooBig ? 413 : 400, error.message);
        return this.#events.onBroken(error.closeCode, error.message);
      }
      arriving.whole = true;
      this.#handle();
    });
    request.once("error", ignore);
    response.once("close", () => {
      // The client has given it up before all of it was there.
      if (this.#arriving.get(number) === arriving && !arriving.whole) this.#forget(number, arriving);
    });
  }

  /**
   * Nothing is handled or kept any more. Requests that wait are answered as if they had been: why the link ends is for the
   * answer to a `poll` to say.
   */
  stop(): void {
    this.#ended = true;
    for (const [number, arriving] of [...this.#arriving]) {
      this.#forget(number, arriving);
      arriving.request.resume();
      reply(arriving.response, 204);
    }
  }

  #handle(): void {
    if (this.#handling) return;
    this.#handling = true;
    try {
      while (!this.#paused && !this.#ended) {
        const number = this.#next;
        const arriving = this.#arriving.get(number);
        if (arriving?.whole !== true) break;
        this.#forget(number, arriving);
        this.#next++;
        // Answered first: what is handled may take its time, and may end the link.
        reply(arriving.response, 204);
        for (const record of recordsOf(arriving.body.bytes)) {
          if (this.#ended) break;
          this.#events.onRecord(record);
        }
      }
    } finally {
      this.#handling = false;
    }
  }

  #tooLong(request: IncomingMessage, response: ServerResponse, most: number): void {
    const reason = `a body is longer than ${most} bytes`;
    refuse(request, response, 413, reason);
    this.#events.onBroken(CloseCode.tooBig, reason);
  }

  #drop(number: number, arriving: Arriving, status: number, reason: string): void {
    this.#forget(number, arriving);
    refuse(arriving.request, arriving.response, status, reason);
  }

  #forget(number: number, arriving: Arriving): void {
    this.#arriving.delete(number);
    this.#bytes -= arriving.body.length;
  }
}

/** Answers a request. */
export function reply(response: ServerResponse, status: number, text?: string): void {
  if (response.headersSent || response.destroyed) return;
  if (text === undefined) {
    // 204 has no body, and must not have a length (RFC 9110 section 8.6).
    response.writeHead(status, status === 204 ? {} : { "content-length": 0 });
    response.end();
    return;
  }
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" });
  response.end(`${text}\n`);
}

/** Answers a request whose body is not read to its end. */
export function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
): void {
  if (!request.complete) {
    // Nothing more of it is looked at, and the connection ends with the answer.
    if (!response.headersSent) response.setHeader("connection", "close");
    request.resume();
  }
  reply(response, status, text);
}

function ignore(): void {
  // `close` follows.
}
