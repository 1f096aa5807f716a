import { CloseCode } from "../base/close.js";
import type { Link, LinkEvents, LinkKind } from "../driver/link.js";
import type { EncodedPacket } from "../wire/encode.js";
import type { HttpDialler } from "./dialler.js";
import { CLOSE_TIMEOUT_MS, nextBodyBytes, type Operation } from "./protocol.js";
import {
  decodeClose,
  encodeClose,
  encodeRecord,
  type HttpRecord,
  joined,
  RECORD_HEAD_BYTES,
  RecordKind,
  RecordReader,
  recordHead,
} from "./records.js";
import {
  drained,
  type HttpAnswer,
  type HttpClient,
  isOurs,
  operationHeaders,
  textOf,
  whatWas,
} from "./request.js";

/** `send` requests under way at a time: one is on its way while the answer to the other comes back. */
const SENDS = 2;
/** A request that got no answer is made again so often, after so long, then twice as long. Its number keeps it from being handled twice. */
const TRIES = 3;
const RETRY_MS = 100;
/** Below this, a link that was fuller has drained. */
const DRAIN_MARK_BYTES = 64 * 1024;

/** A link that its owner can leave at once. */
export interface HttpLink extends Link {
  /** Closes the link, and says at once that it is gone. */
  giveUp(reason: string): void;
}

/** A client's link over HTTP. */
export class ClientHttpLink implements HttpLink {
  readonly #dialler: HttpDialler;
  readonly #client: HttpClient;
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #events: LinkEvents;
  readonly #abort: AbortController;
  #queue: Uint8Array[][] = [];
  #queued = 0;
  #underWay = 0;
  #sends = 0;
  #number = 0;
  #corked = false;
  #wasFull = false;
  #moved = false;
  /** Records of the stream that came before the last ones of `poll`. */
  #early: HttpRecord[] | undefined = [];
  #streamEnded = false;
  #closing = false;
  #closed = false;
  #cancelTimeout: (() => void) | undefined;

  constructor(
    dialler: HttpDialler,
    client: HttpClient,
    url: string,
    headers: Readonly<Record<string, string>>,
    events: LinkEvents,
    abort: AbortController,
  ) {
    this.#dialler = dialler;
    this.#client = client;
    this.#url = url;
    this.#headers = headers;
    this.#events = events;
    this.#abort = abort;
    void this.#poll();
    if (!dialler.buffered) void this.#stream();
  }

  get kind(): LinkKind {
    return this.#moved ? "http-stream" : "http-poll";
  }

  get bufferedBytes(): number {
    return this.#queued + this.#underWay;
  }

  send({ head, body, bytes }: EncodedPacket): void {
    if (this.#closing || this.#closed) return;
    const record = [recordHead(RecordKind.packet, bytes), head];
    if (body !== undefined) record.push(body);
    this.#write(record, bytes + RECORD_HEAD_BYTES);
  }

  cork(): void {
    this.#corked = true;
  }

  uncork(): void {
    this.#corked = false;
    this.#sendSome();
  }

  close(code: number, reason: string): void {
    if (this.#closing || this.#closed) return;
    this.#closing = true;
    // Nothing was heard though all was well with the requests: the stream is held back somewhere.
    if (this.#moved && (code === CloseCode.silent || code === CloseCode.handshakeTimeout))
      this.#dialler.buffered = true;
    const record = encodeClose(code, reason);
    this.#corked = false;
    this.#write([record], record.length);
    const end = () => this.#down(code, reason);
    this.#cancelTimeout = this.#dialler.init.schedule(end, CLOSE_TIMEOUT_MS);
    this.#whenSent = end;
  }

  giveUp(reason: string): void {
    this.#down(CloseCode.goingAway, reason);
  }

  #whenSent: (() => void) | undefined;

  // ---- up ------------------------------------------------------------------------------------------------------

  #write(record: Uint8Array[], bytes: number): void {
    this.#queue.push(record);
    this.#queued += bytes;
    if (this.bufferedBytes >= DRAIN_MARK_BYTES) this.#wasFull = true;
    if (!this.#corked) this.#sendSome();
  }

  /** Sends what waits, as much as goes into a body, unless enough is under way. */
  #sendSome(): void {
    while (this.#sends < SENDS && this.#queue.length > 0 && !this.#closed) {
      let bytes = 0;
      let count = 0;
      for (const record of this.#queue) {
        const length = record.reduce((sum, part) => sum + part.length, 0);
        if (count > 0 && bytes + length > this.#dialler.bodyBytes) break;
        bytes += length;
        count++;
      }
      const body = joined(this.#queue.splice(0, count).flat());
      this.#queued -= bytes;
      this.#underWay += bytes;
      this.#sends++;
      void this.#sendBody(++this.#number, body);
    }
  }

  async #sendBody(number: number, body: Uint8Array<ArrayBuffer>): Promise<void> {
    const dialler = this.#dialler;
    const since = performance.now();
    const answer = await this.#request("send", number, body, drained);
    if (answer === undefined || this.#closed) return;
    dialler.bodyBytes = nextBodyBytes(dialler.bodyBytes, body.length, performance.now() - since);
    this.#sends--;
    this.#underWay -= body.length;
    this.#sendSome();
    if (this.#sends === 0) this.#whenSent?.();
    if (this.#wasFull && this.bufferedBytes < DRAIN_MARK_BYTES) {
      this.#wasFull = false;
      this.#events.onDrain();
    }
  }

  // ---- down ----------------------------------------------------------------------------------------------------

  async #poll(): Promise<void> {
    const { maxPacketBytes } = this.#dialler.init;
    for (let number = 1; !this.#closed && !this.#moved; number++) {
      // All of it, or none: half an answer is asked for again.
      const records = await this.#request("poll", number, new Uint8Array(0), async (answer) => {
        const reader = new RecordReader(maxPacketBytes);
        const all: HttpRecord[] = [];
        for await (const chunk of answer.body) all.push(...reader.read(chunk));
        if (!reader.isComplete) throw new Error("an answer ends in the middle of a record");
        return all;
      });
      if (records === undefined) return;
      for (const record of records) this.#onRecord(record);
    }
    for (const record of this.#early ?? []) this.#onRecord(record);
    this.#early = undefined;
    if (this.#streamEnded && !this.#closed) this.#down(CloseCode.abnormal, "the streamed answer ended");
  }

  async #stream(): Promise<void> {
    const reader = new RecordReader(this.#dialler.init.maxPacketBytes);
    let proven = false;
    let whole = false;
    let reason = "the streamed answer ended";
    try {
      const answer = await this.#post("stream", undefined, new Uint8Array(0));
      if (answer.status !== 200 || !isOurs(answer)) throw new Error(whatWas(answer));
      for await (const chunk of answer.body) {
        if (this.#closed) return;
        for (const record of reader.read(chunk)) {
          if (record.kind === RecordKind.probe) {
            proven = true;
            const move = encodeRecord(RecordKind.move);
            if (!this.#closing) this.#write([move], move.length);
          } else if (this.#early === undefined) this.#onRecord(record);
          else this.#early.push(record);
        }
      }
      whole = true;
    } catch (error) {
      reason = `the streamed answer broke: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (this.#closed) return;
    this.#streamEnded = true;
    if (this.#moved && this.#early === undefined) this.#down(CloseCode.abnormal, reason);
    // It ended before it was used: what was held back came at the end, or never. The probe came too late then, if it came; when
    // the stream broke behind it, the way may be good.
    else if (!this.#moved && this.#early?.length === 0 && (whole || !proven)) this.#dialler.buffered = true;
  }

  #onRecord({ kind, content }: HttpRecord): void {
    if (this.#closed) return;
    switch (kind) {
      case RecordKind.packet:
        if (!this.#closing) this.#events.onMessage(content);
        return;
      case RecordKind.close: {
        const { code, reason } = decodeClose(content);
        return this.#down(code, reason);
      }
      case RecordKind.move:
        this.#moved = true;
        return;
      default:
        // A later revision may have more kinds.
        return;
    }
  }

  // ---- requests ------------------------------------------------------------------------------------------------

  #post(what: Operation, number: number | undefined, body: Uint8Array<ArrayBuffer>): Promise<HttpAnswer> {
    const headers = operationHeaders(what, this.#headers, number);
    return this.#client.post(this.#url, headers, body, this.#abort.signal);
  }

  /** Makes a request, again if need be; `undefined` when the link is closed, by now or by what came of it. */
  async #request<T>(
    what: Operation,
    number: number,
    body: Uint8Array<ArrayBuffer>,
    read: (answer: HttpAnswer) => Promise<T>,
  ): Promise<T | undefined> {
    let reason = "";
    for (let attempt = 0; attempt < TRIES; attempt++) {
      if (attempt > 0) await this.#wait(RETRY_MS * 2 ** (attempt - 1));
      if (this.#closed) return undefined;
      try {
        const answer = await this.#post(what, number, body);
        // Something in between may have a bad moment; what the server itself says stands.
        const ours = isOurs(answer);
        if (ours && (answer.status === 200 || answer.status === 204)) return await read(answer);
        reason = `${whatWas(answer)}: ${await textOf(answer)}`;
        if (ours && answer.status !== 429) break;
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
    }
    if (!this.#closed) this.#down(CloseCode.abnormal, `no answer to ${what}: ${reason}`);
    return undefined;
  }

  #wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#dialler.init.schedule(resolve, delayMs);
    });
  }

  #down(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelTimeout?.();
    this.#queue = [];
    this.#early = undefined;
    this.#abort.abort();
    this.#events.onClose(code, reason);
  }
}
