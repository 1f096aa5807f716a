/** Writing frames forwards into bytes that are known to be enough. Every function returns the position after it. */

import type { AttachedFrame, Detail, Frame, Header, HelloFrame, WelcomeFrame, WireLimits } from "./frame.js";
import { bytesBytes, limitsBytes, spanBytes } from "./size.js";
import { takeTextBytes, writeText } from "./text.js";
import { uintBytes, writeUint } from "./varint.js";

/** Up to here a loop is faster than `Uint8Array.set` (Node 20 and 24). */
const LOOP_BYTES = 8;

/**
 * Writes one entry of `Packet.frames`.
 *
 * @param body size of the kind inside the frame, as `bodyBytes` gives it
 * @param beside leave the payload out; its length is written, its bytes follow elsewhere
 */
export function writeFrame(
  into: Uint8Array,
  at: number,
  frame: Frame,
  body: number,
  beside: boolean,
): number {
  into[at] = 0x1a;
  let pos = writeUint(into, at + 1, 1 + uintBytes(body) + body);
  switch (frame.kind) {
    case "data":
      into[pos] = 0x0a;
      pos = writeUint(into, pos + 1, body);
      pos = writeNumber(into, pos, 0x08, frame.call);
      if (frame.end) pos = writeTrue(into, pos, 0x10);
      if (frame.size !== 0) pos = writeNumber(into, pos, 0x18, frame.size);
      if (frame.headers !== undefined) pos = writeHeaders(into, pos, 0x22, frame.headers);
      // The payload comes last whatever its number: it may be written elsewhere.
      if (frame.resumeToken !== "") pos = writeMeasured(into, pos, 0x32, frame.resumeToken);
      if (frame.payload !== undefined) pos = writePayload(into, pos, 0x2a, frame.payload, beside);
      return pos;
    case "open":
      into[pos] = 0x12;
      pos = writeUint(into, pos + 1, body);
      pos = writeNumber(into, pos, 0x08, frame.call);
      pos = writeNumber(into, pos, 0x10, frame.method);
      if (frame.name !== "") pos = writeMeasured(into, pos, 0x1a, frame.name);
      if (frame.headers !== undefined) pos = writeHeaders(into, pos, 0x22, frame.headers);
      if (frame.timeoutMs !== 0) pos = writeNumber(into, pos, 0x28, frame.timeoutMs);
      if (frame.end) pos = writeTrue(into, pos, 0x30);
      if (frame.size !== 0) pos = writeNumber(into, pos, 0x38, frame.size);
      if (frame.resumeToken !== "") pos = writeMeasured(into, pos, 0x4a, frame.resumeToken);
      if (frame.idempotencyKey !== "") pos = writeMeasured(into, pos, 0x52, frame.idempotencyKey);
      if (frame.payload !== undefined) pos = writePayload(into, pos, 0x42, frame.payload, beside);
      return pos;
    case "end":
      into[pos] = 0x1a;
      pos = writeUint(into, pos + 1, body);
      pos = writeNumber(into, pos, 0x08, frame.call);
      if (frame.code !== 0) pos = writeNumber(into, pos, 0x10, frame.code);
      if (frame.message !== "") pos = writeMeasured(into, pos, 0x1a, frame.message);
      if (frame.details !== undefined) pos = writeDetails(into, pos, frame.details);
      if (frame.headers !== undefined) pos = writeHeaders(into, pos, 0x2a, frame.headers);
      if (frame.trailers !== undefined) pos = writeHeaders(into, pos, 0x32, frame.trailers);
      if (frame.refused) pos = writeTrue(into, pos, 0x38);
      if (frame.unfinished) pos = writeTrue(into, pos, 0x48);
      if (frame.payload !== undefined) pos = writePayload(into, pos, 0x42, frame.payload, beside);
      return pos;
    case "cancel":
      into[pos] = 0x22;
      pos = writeUint(into, pos + 1, body);
      pos = writeNumber(into, pos, 0x08, frame.call);
      pos = writeNumber(into, pos, 0x10, frame.code);
      return writeMeasured(into, pos, 0x1a, frame.message);
    case "credit":
      into[pos] = 0x2a;
      pos = writeUint(into, pos + 1, body);
      pos = writeNumber(into, pos, 0x08, frame.call);
      return writeNumber(into, pos, 0x10, frame.bytes);
    case "ping":
      into[pos] = 0x32;
      pos = writeUint(into, pos + 1, body);
      return writeNumber(into, pos, 0x08, frame.id);
    case "pong":
      into[pos] = 0x3a;
      pos = writeUint(into, pos + 1, body);
      return writeNumber(into, pos, 0x08, frame.id);
    case "hello":
      into[pos] = 0x42;
      return writeHello(into, writeUint(into, pos + 1, body), frame);
    case "welcome":
      into[pos] = 0x4a;
      return writeWelcome(into, writeUint(into, pos + 1, body), frame);
    case "goAway":
      into[pos] = 0x52;
      pos = writeUint(into, pos + 1, body);
      pos = writeNumber(into, pos, 0x08, frame.code);
      pos = writeMeasured(into, pos, 0x12, frame.reason);
      if (frame.reconnect) pos = writeTrue(into, pos, 0x18);
      return writeNumber(into, pos, 0x20, frame.afterMs);
    case "refresh":
      into[pos] = 0x5a;
      pos = writeUint(into, pos + 1, body);
      pos = writeMeasured(into, pos, 0x0a, frame.credentials);
      return writeNumber(into, pos, 0x10, frame.withinMs);
    case "publication":
      into[pos] = 0x62;
      pos = writeUint(into, pos + 1, body);
      pos = writeNumber(into, pos, 0x08, frame.topic);
      pos = writeNumber(into, pos, 0x10, frame.offset);
      pos = writeNumber(into, pos, 0x18, frame.step);
      pos = writeNumber(into, pos, 0x20, frame.size);
      return writeBytes(into, pos, 0x2a, frame.payload);
    case "attached":
      into[pos] = 0x6a;
      return writeAttached(into, writeUint(into, pos + 1, body), frame);
    case "position":
      into[pos] = 0x72;
      pos = writeUint(into, pos + 1, body);
      pos = writeNumber(into, pos, 0x08, frame.call);
      pos = writeMeasured(into, pos, 0x12, frame.epoch);
      pos = writeNumber(into, pos, 0x18, frame.offset);
      pos = writeNumber(into, pos, 0x20, frame.id);
      return writeNumber(into, pos, 0x28, frame.room);
    case "unknown":
      throw new TypeError("a frame of unknown kind cannot be encoded");
  }
}

function writeAttached(into: Uint8Array, at: number, frame: AttachedFrame): number {
  let pos = writeNumber(into, at, 0x08, frame.call);
  pos = writeNumber(into, pos, 0x10, frame.topic);
  pos = writeMeasured(into, pos, 0x1a, frame.epoch);
  pos = writeNumber(into, pos, 0x20, frame.offset);
  pos = writeNumber(into, pos, 0x28, frame.answers);
  pos = writeNumber(into, pos, 0x30, frame.gap);
  if (frame.asks) pos = writeTrue(into, pos, 0x38);
  return frame.stale ? writeTrue(into, pos, 0x40) : pos;
}

function writeHello(into: Uint8Array, at: number, frame: HelloFrame): number {
  let pos = writeNumber(into, at, 0x08, frame.version);
  pos = writeNumber(into, pos, 0x10, frame.mode);
  pos = writeBytes(into, pos, 0x1a, frame.session);
  pos = writeBytes(into, pos, 0x22, frame.epoch);
  pos = writeNumber(into, pos, 0x28, frame.received);
  pos = writeMeasured(into, pos, 0x32, frame.credentials);
  if (frame.limits !== undefined) pos = writeLimits(into, pos, 0x3a, frame.limits);
  pos = writeMeasured(into, pos, 0x42, frame.agent);
  return writeNumber(into, pos, 0x48, frame.link);
}

function writeWelcome(into: Uint8Array, at: number, frame: WelcomeFrame): number {
  let pos = writeBytes(into, at, 0x0a, frame.session);
  pos = writeBytes(into, pos, 0x12, frame.epoch);
  if (frame.resumed) pos = writeTrue(into, pos, 0x18);
  pos = writeNumber(into, pos, 0x20, frame.received);
  if (frame.limits !== undefined) pos = writeLimits(into, pos, 0x2a, frame.limits);
  pos = writeNumber(into, pos, 0x30, frame.pingIntervalMs);
  pos = writeNumber(into, pos, 0x38, frame.pingTimeoutMs);
  return writeNumber(into, pos, 0x40, frame.graceMs);
}

function writeLimits(into: Uint8Array, at: number, tag: number, limits: WireLimits): number {
  into[at] = tag;
  let pos = writeUint(into, at + 1, limitsBytes(limits));
  pos = writeNumber(into, pos, 0x08, limits.packetBytes);
  pos = writeNumber(into, pos, 0x10, limits.messageBytes);
  pos = writeNumber(into, pos, 0x18, limits.creditBytes);
  pos = writeNumber(into, pos, 0x20, limits.headerBytes);
  return writeNumber(into, pos, 0x28, limits.calls);
}

function writeHeaders(into: Uint8Array, at: number, tag: number, headers: readonly Header[]): number {
  let pos = at;
  for (const [name, value] of headers) {
    const nameBytes = name === "" ? 0 : takeTextBytes();
    const valueBytes = value === "" ? 0 : takeTextBytes();
    into[pos] = tag;
    pos = writeUint(into, pos + 1, fieldBytes(nameBytes) + fieldBytes(valueBytes));
    pos = writeString(into, pos, 0x0a, name, nameBytes);
    pos = writeString(into, pos, 0x12, value, valueBytes);
  }
  return pos;
}

function writeDetails(into: Uint8Array, at: number, details: readonly Detail[]): number {
  let pos = at;
  for (const { type, value } of details) {
    const typeBytes = type === "" ? 0 : takeTextBytes();
    into[pos] = 0x22;
    pos = writeUint(into, pos + 1, fieldBytes(typeBytes) + bytesBytes(value));
    pos = writeString(into, pos, 0x0a, type, typeBytes);
    pos = writeBytes(into, pos, 0x12, value);
  }
  return pos;
}

function fieldBytes(length: number): number {
  return length === 0 ? 0 : spanBytes(length);
}

/** A uint64 or uint32 field; 0 is left out, as empty strings and bytes are below. */
function writeNumber(into: Uint8Array, at: number, tag: number, value: number): number {
  if (value === 0) return at;
  into[at] = tag;
  return writeUint(into, at + 1, value);
}

function writeTrue(into: Uint8Array, at: number, tag: number): number {
  into[at] = tag;
  into[at + 1] = 1;
  return at + 2;
}

/** A string field whose size was measured in the size pass. */
function writeMeasured(into: Uint8Array, at: number, tag: number, text: string): number {
  return text === "" ? at : writeString(into, at, tag, text, takeTextBytes());
}

function writeString(into: Uint8Array, at: number, tag: number, text: string, bytes: number): number {
  if (bytes === 0) return at;
  into[at] = tag;
  return writeText(into, writeUint(into, at + 1, bytes), text, bytes);
}

function writeBytes(into: Uint8Array, at: number, tag: number, value: Uint8Array): number {
  return value.length === 0 ? at : writePayload(into, at, tag, value, false);
}

/** Writes tag and length of a payload, which follows. */
export function writePayloadHead(
  into: Uint8Array,
  at: number,
  kind: "data" | "open" | "end",
  length: number,
): number {
  into[at] = kind === "data" ? 0x2a : 0x42;
  return writeUint(into, at + 1, length);
}

function writePayload(
  into: Uint8Array,
  at: number,
  tag: number,
  payload: Uint8Array,
  beside: boolean,
): number {
  const length = payload.length;
  into[at] = tag;
  const pos = writeUint(into, at + 1, length);
  if (beside) return pos;
  if (length <= LOOP_BYTES) {
    for (let i = 0; i < length; i++) into[pos + i] = payload[i] as number;
  } else {
    into.set(payload, pos);
  }
  return pos + length;
}
