/** Decoding of control frames; see `decode.ts` for how these functions are made. */

import { EMPTY, ENTRY, KIND, readId, readName } from "./decode-entries.js";
import type {
  GoAwayFrame,
  HelloFrame,
  PingFrame,
  PongFrame,
  RefreshFrame,
  WelcomeFrame,
  WireLimits,
} from "./frame.js";
import { cursor, readBool, readSpan, readTag, readUint, readUint32, skipField } from "./read.js";
import { readText } from "./text.js";

export function decodePing(
  bytes: Uint8Array,
  start: number,
  end: number,
  base: PingFrame | undefined,
): PingFrame {
  return { kind: "ping", id: decodeId(bytes, start, end, base?.id ?? 0) };
}

export function decodePong(
  bytes: Uint8Array,
  start: number,
  end: number,
  base: PongFrame | undefined,
): PongFrame {
  return { kind: "pong", id: decodeId(bytes, start, end, base?.id ?? 0) };
}

export function decodeId(bytes: Uint8Array, start: number, end: number, base: number): number {
  let pos = start;
  let id = base;
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    if (tag === 0x08) {
      id = readUint(bytes, pos, end);
      pos = cursor;
    } else {
      pos = skipField(bytes, pos, end, tag, KIND);
    }
  }
  return id;
}

export function decodeHello(
  bytes: Uint8Array,
  start: number,
  end: number,
  base: HelloFrame | undefined,
): HelloFrame {
  let pos = start;
  let version = base?.version ?? 0;
  let mode = base?.mode ?? 0;
  let session = base?.session ?? EMPTY;
  let epoch = base?.epoch ?? EMPTY;
  let received = base?.received ?? 0;
  let credentials = base?.credentials ?? "";
  let limits = base?.limits;
  let agent = base?.agent ?? "";
  let link = base?.link ?? 0;
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x08:
        version = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      case 0x10:
        mode = readUint32(bytes, pos, end) | 0; // enums are int32
        pos = cursor;
        break;
      case 0x1a:
        pos = readSpan(bytes, pos, end);
        session = readId(bytes, cursor, pos);
        break;
      case 0x22:
        pos = readSpan(bytes, pos, end);
        epoch = readId(bytes, cursor, pos);
        break;
      case 0x28:
        received = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x32:
        pos = readSpan(bytes, pos, end);
        credentials = readText(bytes, cursor, pos);
        break;
      case 0x3a:
        pos = readSpan(bytes, pos, end);
        limits = decodeLimits(bytes, cursor, pos, limits);
        break;
      case 0x42:
        pos = readSpan(bytes, pos, end);
        agent = readName(bytes, cursor, pos);
        break;
      case 0x48:
        link = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      default:
        pos = skipField(bytes, pos, end, tag, KIND);
    }
  }
  return { kind: "hello", version, mode, session, epoch, received, credentials, limits, agent, link };
}

export function decodeWelcome(
  bytes: Uint8Array,
  start: number,
  end: number,
  base: WelcomeFrame | undefined,
): WelcomeFrame {
  let pos = start;
  let session = base?.session ?? EMPTY;
  let epoch = base?.epoch ?? EMPTY;
  let resumed = base?.resumed ?? false;
  let received = base?.received ?? 0;
  let limits = base?.limits;
  let pingIntervalMs = base?.pingIntervalMs ?? 0;
  let pingTimeoutMs = base?.pingTimeoutMs ?? 0;
  let graceMs = base?.graceMs ?? 0;
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x0a:
        pos = readSpan(bytes, pos, end);
        session = readId(bytes, cursor, pos);
        break;
      case 0x12:
        pos = readSpan(bytes, pos, end);
        epoch = readId(bytes, cursor, pos);
        break;
      case 0x18:
        resumed = readBool(bytes, pos, end);
        pos = cursor;
        break;
      case 0x20:
        received = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x2a:
        pos = readSpan(bytes, pos, end);
        limits = decodeLimits(bytes, cursor, pos, limits);
        break;
      case 0x30:
        pingIntervalMs = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      case 0x38:
        pingTimeoutMs = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      case 0x40:
        graceMs = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      default:
        pos = skipField(bytes, pos, end, tag, KIND);
    }
  }
  return {
    kind: "welcome",
    session,
    epoch,
    resumed,
    received,
    limits,
    pingIntervalMs,
    pingTimeoutMs,
    graceMs,
  };
}

export function decodeGoAway(
  bytes: Uint8Array,
  start: number,
  end: number,
  base: GoAwayFrame | undefined,
): GoAwayFrame {
  let pos = start;
  let code = base?.code ?? 0;
  let reason = base?.reason ?? "";
  let reconnect = base?.reconnect ?? false;
  let afterMs = base?.afterMs ?? 0;
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x08:
        code = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      case 0x12:
        pos = readSpan(bytes, pos, end);
        reason = readText(bytes, cursor, pos);
        break;
      case 0x18:
        reconnect = readBool(bytes, pos, end);
        pos = cursor;
        break;
      case 0x20:
        afterMs = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      default:
        pos = skipField(bytes, pos, end, tag, KIND);
    }
  }
  return { kind: "goAway", code, reason, reconnect, afterMs };
}

export function decodeRefresh(
  bytes: Uint8Array,
  start: number,
  end: number,
  base: RefreshFrame | undefined,
): RefreshFrame {
  let pos = start;
  let credentials = base?.credentials ?? "";
  let withinMs = base?.withinMs ?? 0;
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x0a:
        pos = readSpan(bytes, pos, end);
        credentials = readText(bytes, cursor, pos);
        break;
      case 0x10:
        withinMs = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      default:
        pos = skipField(bytes, pos, end, tag, KIND);
    }
  }
  return { kind: "refresh", credentials, withinMs };
}

export function decodeLimits(
  bytes: Uint8Array,
  start: number,
  end: number,
  base: WireLimits | undefined,
): WireLimits {
  let pos = start;
  let packetBytes = base?.packetBytes ?? 0;
  let messageBytes = base?.messageBytes ?? 0;
  let creditBytes = base?.creditBytes ?? 0;
  let headerBytes = base?.headerBytes ?? 0;
  let calls = base?.calls ?? 0;
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x08:
        packetBytes = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      case 0x10:
        messageBytes = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      case 0x18:
        creditBytes = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      case 0x20:
        headerBytes = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      case 0x28:
        calls = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      default:
        pos = skipField(bytes, pos, end, tag, ENTRY);
    }
  }
  return { packetBytes, messageBytes, creditBytes, headerBytes, calls };
}
