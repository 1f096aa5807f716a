import type { ServerResponse } from "node:http";
import type { Clock } from "../base/clock.js";
import type { EncodedPacket } from "../wire/encode.js";
import {
  CONTENT_TYPE,
  FIRST_BODY_BYTES,
  nextBodyBytes,
  PROBE_BYTES,
  SLOWEST_BYTES_PER_MS,
} from "./protocol.js";
import { encodeRecord, joined, RECORD_HEAD_BYTES, RecordKind, recordHead } from "./records.js";

/** Up to here a packet is copied behind the head of its record, instead of being written on its own. */
const COPY_BYTES = 4_096;

/** So that proxies pass on what they get, as it comes, and keep and change nothing. */
const HEADERS = {
  "content-type": CONTENT_TYPE,
  "cache-control": "no-store, no-transform",
  // nginx reads this one.
  "x-accel-buffering": "no",
};

const PROBE = encodeRecord(RecordKind.probe, new Uint8Array(PROBE_BYTES));

/** An answer to a `poll`, kept until the next one says that it has arrived. */
interface Batch {
  readonly number: number;
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
  /** When it was given. */
  readonly at: number;
}

/**
 * What a server has to say over HTTP: records that wait for somebody to fetch them, and from {@link Downstream.move} on go out
 * in the streamed answer.
 */
export class Downstream {
  readonly #clock: Clock;
  readonly #onRoom: () => void;
  readonly #onGap: () => void;
  #queue: Uint8Array[] = [];
  /** Lengths of records, one for each; a record may be several entries of the queue. */
  #records: { entries: number; bytes: number }[] = [];
  #queuedBytes = 0;
  #batch: Batch | undefined;
  #pollNumber = 0;
  #waiting: ServerResponse | undefined;
  /** The last `poll` that was answered, as long as the answer is on its way out. */
  #answered: ServerResponse | undefined;
  /** Most bytes of records that go into an answer. */
  #bodyBytes: number = FIRST_BODY_BYTES;
  #answersSoon = false;
  #stream: ServerResponse | undefined;
  /** Written to the stream, and not with the operating system yet. */
  #streamBytes = 0;
  /** What is held back to be written together. */
  #corked: Uint8Array[] | undefined;
  #moved = false;
  #ended = false;

  /**
   * @param clock in milliseconds
   * @param onRoom there is less to write than before
   * @param onGap the request that records went out by is gone; of a stream that was moved to: for good
   */
  constructor(clock: Clock, onRoom: () => void, onGap: () => void) {
    this.#clock = clock;
    this.#onRoom = onRoom;
    this.#onGap = onGap;
  }

  /** Bytes that nobody has fetched, or that may be fetched again. */
  get bufferedBytes(): number {
    const answered = this.#moved ? 0 : (this.#batch?.bytes ?? 0);
    return this.#queuedBytes + answered + this.#streamBytes;
  }

  /** Whether a `poll` is there that records can go out by. */
  get isPolled(): boolean {
    return this.#waiting !== undefined;
  }

  /** Whether a request is there that records can go out by at any time, or by which some are going out. */
  get isAttended(): boolean {
    return this.isPolled || (this.#moved ? this.#stream : this.#answered) !== undefined;
  }

  /** How long a slow client may be busy with the last answer after it has gone out, in milliseconds. */
  get answerMs(): number {
    return this.#moved ? 0 : (this.#batch?.bytes ?? 0) / SLOWEST_BYTES_PER_MS;
  }

  /** Whether records go out in the streamed answer. */
  get isStreamed(): boolean {
    return this.#moved;
  }

  send({ head, body, bytes }: EncodedPacket): void {
    if (bytes > COPY_BYTES || body !== undefined) {
      const parts = [recordHead(RecordKind.packet, bytes), head];
      if (body !== undefined) parts.push(body);
      this.#write(parts, bytes + RECORD_HEAD_BYTES);
    } else this.record(encodeRecord(RecordKind.packet, head));
  }

  /** Writes a whole record. */
  record(record: Uint8Array): void {
    this.#write([record], record.length);
  }

  cork(): void {
    this.#corked ??= [];
  }

  uncork(): void {
    const parts = this.#corked;
    this.#corked = undefined;
    if (parts !== undefined && parts.length > 0) this.#stream?.write(joined(parts), this.#written(parts));
  }

  /**
   * A `poll` has come.
   *
   * @returns `false` when its number cannot be
   */
  poll(number: number, response: ServerResponse): boolean {
    if (number === this.#pollNumber && number > 0) {
      // The client has given up the one before, which may not have noticed yet.
      const batch = this.#batch;
      if (batch !== undefined) {
        this.#watch(response);
        this.#give(response, batch);
        return true;
      }
    } else if (number !== this.#pollNumber + 1) return false;
    const batch = this.#batch;
    this.#batch = undefined;
    if (batch !== undefined)
      this.#bodyBytes = nextBodyBytes(this.#bodyBytes, batch.bytes, this.#clock() - batch.at);
    this.#pollNumber = number;
    this.#dismiss();
    this.#waiting = response;
    this.#watch(response);
    this.#answer();
    if (batch !== undefined) this.#onRoom();
    return true;
  }

  #watch(response: ServerResponse): void {
    response.once("close", () => {
      if (this.#waiting === response) this.#waiting = undefined;
      else if (this.#answered === response) {
        this.#answered = undefined;
        if (this.#ended && this.#records.length === 0) return this.#whenOut?.();
      } else return;
      this.#onGap();
    });
  }

  /** The `poll` that waits has waited long enough. */
  release(): void {
    if (this.#waiting !== undefined) this.#take();
  }

  /**
   * A `stream` has come: it is opened by a probe.
   *
   * @returns `false` when there is one that is used already
   */
  open(response: ServerResponse): boolean {
    if (this.#moved) return false;
    this.#stream?.end();
    this.#stream = response;
    response.writeHead(200, HEADERS);
    response.write(PROBE);
    response.once("close", () => {
      if (this.#stream !== response) return;
      this.#stream = undefined;
      if (this.#moved && !this.#ended) this.#onGap();
    });
    return true;
  }

  /** The probe has come through: goes on in the stream, behind what can still be polled. Nothing happens without a stream. */
  move(): void {
    if (this.#moved || this.#stream === undefined) return;
    this.record(encodeRecord(RecordKind.move));
    this.#moved = true;
  }

  /** Nobody has moved to the stream, or asks for the last answer again. */
  tidy(): void {
    if (this.#moved) this.#batch = undefined;
    else {
      this.#stream?.end();
      this.#stream = undefined;
    }
  }

  /** Nothing follows; `whenOut` is called when all has been handed over. */
  end(whenOut: () => void): void {
    if (this.#ended) return;
    this.uncork();
    this.#ended = true;
    if (this.#moved) {
      if (this.#stream === undefined) return whenOut();
      this.#stream.once("close", whenOut);
      this.#stream.end();
    } else {
      this.#whenOut = whenOut;
      this.#answer();
    }
  }

  #whenOut: (() => void) | undefined;

  /** Lets go of all requests, whatever has not gone out. */
  destroy(): void {
    this.#ended = true;
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream?.writableFinished === false) stream.destroy();
    this.#dismiss();
    this.#dropAnswered();
    this.#queue = [];
    this.#records = [];
    this.#queuedBytes = 0;
    this.#batch = undefined;
  }

  #write(parts: readonly Uint8Array[], bytes: number): void {
    if (this.#ended) return;
    if (this.#moved) {
      const stream = this.#stream;
      if (stream === undefined) return;
      this.#streamBytes += bytes;
      if (this.#corked !== undefined) this.#corked.push(...parts);
      // One write for all: each would be a chunk of its own.
      else stream.write(joined(parts), this.#written(parts));
      return;
    }
    this.#queue.push(...parts);
    this.#records.push({ entries: parts.length, bytes });
    this.#queuedBytes += bytes;
    if (this.#waiting === undefined || this.#answersSoon) return;
    // What is said in the same turn goes together.
    this.#answersSoon = true;
    process.nextTick(() => {
      this.#answersSoon = false;
      this.#answer();
    });
  }

  /** Takes off what has been written. */
  #written(parts: readonly Uint8Array[]): () => void {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    return () => {
      this.#streamBytes -= bytes;
      this.#onRoom();
    };
  }

  #answer(): void {
    if (this.#waiting !== undefined && this.#records.length > 0) this.#take();
  }

  /** Answers the `poll` that waits with as much as goes into one body. */
  #take(): void {
    const response = this.#waiting;
    if (response === undefined) return;
    this.#waiting = undefined;
    let entries = 0;
    let bytes = 0;
    let records = 0;
    for (const record of this.#records) {
      if (records > 0 && bytes + record.bytes > this.#bodyBytes) break;
      entries += record.entries;
      bytes += record.bytes;
      records++;
    }
    const parts = this.#queue.splice(0, entries);
    this.#records.splice(0, records);
    this.#queuedBytes -= bytes;
    const batch = { number: this.#pollNumber, parts, bytes, at: this.#clock() };
    this.#batch = batch;
    this.#give(response, batch);
  }

  /** Answers a `poll`. From when that has gone out, the next one is waited for. */
  #give(response: ServerResponse, { parts, bytes }: Batch): void {
    this.#dropAnswered();
    this.#answered = response;
    answer(response, parts, bytes);
  }

  /** Whoever polls again wants no more of the answer before: what nobody reads of it would pile up in the socket. */
  #dropAnswered(): void {
    const answered = this.#answered;
    this.#answered = undefined;
    if (answered?.writableFinished === false) answered.destroy();
  }

  /** Another `poll` has taken the place of the one that waits. */
  #dismiss(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) return;
    waiting.writeHead(409, { "content-length": 0 });
    waiting.end();
  }
}

function answer(response: ServerResponse, parts: readonly Uint8Array[], bytes: number): void {
  response.writeHead(200, { ...HEADERS, "content-length": bytes });
  response.cork();
  for (const part of parts) response.write(part);
  response.uncork();
  response.end();
}
