/** Sizes of frames on the wire, computed before they are written so that writing goes forwards only. */

import type {
  Detail,
  EndFrame,
  Frame,
  Header,
  HelloFrame,
  OpenFrame,
  PublicationFrame,
  WelcomeFrame,
  WireLimits,
} from "./frame.js";
import { beginTexts, measureText } from "./text.js";
import { uint32Bytes, uintBytes } from "./varint.js";

/** Bytes of the whole frame with its tag and length, as one entry of `Packet.frames`. */
export function frameBytes(frame: Frame): number {
  return wrappedBytes(bodyBytes(frame));
}

/** Bytes of a frame whose kind takes `body` bytes: tag and length of the kind, tag and length of the frame. */
export function wrappedBytes(body: number): number {
  const kind = 1 + uintBytes(body) + body;
  return 1 + uintBytes(kind) + kind;
}

/**
 * Bytes of the kind inside a frame, without tag and length. Throws for what cannot be encoded.
 *
 * Also measures the texts of the frame for `writeFrame`, which must come before the next call of this.
 */
export function bodyBytes(frame: Frame): number {
  beginTexts();
  switch (frame.kind) {
    case "data": {
      let bytes = numberBytes(frame.call) + (frame.end ? 2 : 0) + numberBytes(frame.size);
      if (frame.headers !== undefined) bytes += headersBytes(frame.headers);
      if (frame.resumeToken !== "") bytes += stringBytes(frame.resumeToken);
      if (frame.payload !== undefined) bytes += spanBytes(frame.payload.length);
      return bytes;
    }
    case "open":
      return openBytes(frame);
    case "end":
      return endBytes(frame);
    case "cancel":
      return numberBytes(frame.call) + number32Bytes(frame.code) + stringBytes(frame.message);
    case "credit":
      return numberBytes(frame.call) + numberBytes(frame.bytes);
    case "ping":
    case "pong":
      return numberBytes(frame.id);
    case "hello":
      return helloBytes(frame);
    case "welcome":
      return welcomeBytes(frame);
    case "goAway":
      return (
        number32Bytes(frame.code) +
        stringBytes(frame.reason) +
        (frame.reconnect ? 2 : 0) +
        number32Bytes(frame.afterMs)
      );
    case "refresh":
      return stringBytes(frame.credentials) + number32Bytes(frame.withinMs);
    case "publication":
      return publicationBytes(frame);
    case "attached":
      return (
        numberBytes(frame.call) +
        numberBytes(frame.topic) +
        stringBytes(frame.epoch) +
        numberBytes(frame.offset) +
        number32Bytes(frame.answers) +
        number32Bytes(frame.gap) +
        (frame.asks ? 2 : 0) +
        (frame.stale ? 2 : 0)
      );
    case "position":
      return (
        numberBytes(frame.call) +
        stringBytes(frame.epoch) +
        numberBytes(frame.offset) +
        number32Bytes(frame.id) +
        numberBytes(frame.room)
      );
    case "unknown":
      throw new TypeError("a frame of unknown kind cannot be encoded");
  }
}

function publicationBytes(frame: PublicationFrame): number {
  return (
    numberBytes(frame.topic) +
    numberBytes(frame.offset) +
    numberBytes(frame.step) +
    numberBytes(frame.size) +
    bytesBytes(frame.payload)
  );
}

function openBytes(frame: OpenFrame): number {
  let bytes =
    numberBytes(frame.call) + number32Bytes(frame.method) + (frame.end ? 2 : 0) + numberBytes(frame.size);
  if (frame.name !== "") bytes += stringBytes(frame.name);
  if (frame.headers !== undefined) bytes += headersBytes(frame.headers);
  if (frame.timeoutMs !== 0) bytes += numberBytes(frame.timeoutMs);
  if (frame.resumeToken !== "") bytes += stringBytes(frame.resumeToken);
  if (frame.idempotencyKey !== "") bytes += stringBytes(frame.idempotencyKey);
  if (frame.payload !== undefined) bytes += spanBytes(frame.payload.length);
  return bytes;
}

function endBytes(frame: EndFrame): number {
  let bytes = numberBytes(frame.call) + number32Bytes(frame.code);
  if (frame.message !== "") bytes += stringBytes(frame.message);
  if (frame.details !== undefined) bytes += detailsBytes(frame.details);
  if (frame.headers !== undefined) bytes += headersBytes(frame.headers);
  if (frame.trailers !== undefined) bytes += headersBytes(frame.trailers);
  if (frame.refused) bytes += 2;
  if (frame.unfinished) bytes += 2;
  if (frame.payload !== undefined) bytes += spanBytes(frame.payload.length);
  return bytes;
}

function helloBytes(frame: HelloFrame): number {
  return (
    number32Bytes(frame.version) +
    number32Bytes(frame.mode) +
    bytesBytes(frame.session) +
    bytesBytes(frame.epoch) +
    numberBytes(frame.received) +
    stringBytes(frame.credentials) +
    (frame.limits === undefined ? 0 : spanBytes(limitsBytes(frame.limits))) +
    stringBytes(frame.agent) +
    number32Bytes(frame.link)
  );
}

function welcomeBytes(frame: WelcomeFrame): number {
  return (
    bytesBytes(frame.session) +
    bytesBytes(frame.epoch) +
    (frame.resumed ? 2 : 0) +
    numberBytes(frame.received) +
    (frame.limits === undefined ? 0 : spanBytes(limitsBytes(frame.limits))) +
    number32Bytes(frame.pingIntervalMs) +
    number32Bytes(frame.pingTimeoutMs) +
    number32Bytes(frame.graceMs)
  );
}

/** Bytes of the fields of `Limits`. */
export function limitsBytes(limits: WireLimits): number {
  return (
    number32Bytes(limits.packetBytes) +
    number32Bytes(limits.messageBytes) +
    number32Bytes(limits.creditBytes) +
    number32Bytes(limits.headerBytes) +
    number32Bytes(limits.calls)
  );
}

function headersBytes(headers: readonly Header[]): number {
  let bytes = 0;
  for (const [name, value] of headers) bytes += spanBytes(stringBytes(name) + stringBytes(value));
  return bytes;
}

function detailsBytes(details: readonly Detail[]): number {
  let bytes = 0;
  for (const { type, value } of details) bytes += spanBytes(stringBytes(type) + bytesBytes(value));
  return bytes;
}

/** Tag, length and value of something that takes `bytes` bytes. */
export function spanBytes(bytes: number): number {
  return 1 + uintBytes(bytes) + bytes;
}

/** Tag and value of a uint64 that is left out when it is 0, as in the next three. */
function numberBytes(value: number): number {
  return value === 0 ? 0 : 1 + uintBytes(value);
}

function number32Bytes(value: number): number {
  return value === 0 ? 0 : 1 + uint32Bytes(value);
}

function stringBytes(text: string): number {
  return text === "" ? 0 : spanBytes(measureText(text));
}

export function bytesBytes(value: Uint8Array): number {
  return value.length === 0 ? 0 : spanBytes(value.length);
}
