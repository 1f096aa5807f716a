/**
 * Bytes to packets.
 *
 * One function per message of `wire.proto`. A field is known by its whole tag, number and wire type together, so a
 * known number with another wire type falls through to the unknown fields and is skipped like them. Each function
 * takes a `base`: the value of the same field that came before it in the same message, which protobuf merges with.
 * Lists of the base go on growing in the new value; copying them would let a hostile packet take quadratic time.
 */

import { tooBig, WIRE_CLOSE, WireError } from "./error.js";
import type {
  CancelFrame,
  CreditFrame,
  DataFrame,
  Detail,
  EndFrame,
  Frame,
  GoAwayFrame,
  Header,
  HelloFrame,
  OpenFrame,
  Packet,
  PingFrame,
  PongFrame,
  UnknownFrame,
  WelcomeFrame,
  WireLimits,
} from "./frame.js";
import { MAX_ENTRIES_PER_PACKET, MAX_FRAMES_PER_PACKET, MAX_ID_BYTES, MAX_NAME_BYTES } from "./limits.js";
import { cursor, readBool, readSpan, readTag, readUint, readUint32, skipField } from "./read.js";
import { readText } from "./text.js";

const UNKNOWN: UnknownFrame = { kind: "unknown" };
const EMPTY: Uint8Array = new Uint8Array(0);

/** Levels of nesting, for the depth limit of unknown groups. */
const PACKET = 1;
const FRAME = 2;
const KIND = 3;
const ENTRY = 4;

/** Headers, trailers and details so far in the packet that is being decoded. */
let entries = 0;

/**
 * Decodes one binary WebSocket message.
 *
 * Payloads, ids, epochs and detail values are views into `bytes`, so `bytes` must not be written to afterwards.
 * Throws a {@link WireError} and nothing else, whatever the bytes are. What the frames say (which calls exist, whether
 * the sequence number is due) is for the session and the calls to judge.
 */
export function decodePacket(bytes: Uint8Array): Packet {
  const end = bytes.length;
  let pos = 0;
  let seq = 0;
  let ack = 0;
  const frames: Frame[] = [];
  entries = 0;
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x08:
        seq = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x10:
        ack = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x1a: {
        if (frames.length === MAX_FRAMES_PER_PACKET)
          throw tooBig(`more than ${MAX_FRAMES_PER_PACKET} frames`, pos);
        const frameEnd = readSpan(bytes, pos, end);
        frames.push(decodeFrame(bytes, cursor, frameEnd));
        pos = frameEnd;
        break;
      }
      default:
        pos = skipField(bytes, pos, end, tag, PACKET);
    }
  }
  return { seq, ack, frames };
}

/** The error for a text message, which no packet can be. */
export function textMessage(): WireError {
  return new WireError("text message where only binary ones are allowed", WIRE_CLOSE.text);
}

function decodeFrame(bytes: Uint8Array, start: number, end: number): Frame {
  let pos = start;
  let frame: Frame = UNKNOWN;
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    if ((tag & 7) !== 2 || tag > 0x52 || tag < 0x0a) {
      pos = skipField(bytes, pos, end, tag, FRAME);
      continue;
    }
    const kindEnd = readSpan(bytes, pos, end);
    pos = cursor;
    switch (tag >>> 3) {
      case 1:
        frame = decodeData(bytes, pos, kindEnd, frame.kind === "data" ? frame : undefined);
        break;
      case 2:
        frame = decodeOpen(bytes, pos, kindEnd, frame.kind === "open" ? frame : undefined);
        break;
      case 3:
        frame = decodeEnd(bytes, pos, kindEnd, frame.kind === "end" ? frame : undefined);
        break;
      case 4:
        frame = decodeCancel(bytes, pos, kindEnd, frame.kind === "cancel" ? frame : undefined);
        break;
      case 5:
        frame = decodeCredit(bytes, pos, kindEnd, frame.kind === "credit" ? frame : undefined);
        break;
      case 6:
        frame = decodePing(bytes, pos, kindEnd, frame.kind === "ping" ? frame : undefined);
        break;
      case 7:
        frame = decodePong(bytes, pos, kindEnd, frame.kind === "pong" ? frame : undefined);
        break;
      case 8:
        frame = decodeHello(bytes, pos, kindEnd, frame.kind === "hello" ? frame : undefined);
        break;
      case 9:
        frame = decodeWelcome(bytes, pos, kindEnd, frame.kind === "welcome" ? frame : undefined);
        break;
      default:
        frame = decodeGoAway(bytes, pos, kindEnd, frame.kind === "goAway" ? frame : undefined);
    }
    pos = kindEnd;
  }
  return frame;
}

function decodeData(bytes: Uint8Array, start: number, end: number, base: DataFrame | undefined): DataFrame {
  let pos = start;
  let call = 0;
  let last = false;
  let size = 0;
  let headers: Header[] | undefined;
  let payload: Uint8Array | undefined;
  if (base !== undefined) {
    ({ call, end: last, size, payload } = base);
    headers = base.headers as Header[] | undefined;
  }
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x08:
        call = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x10:
        last = readBool(bytes, pos, end);
        pos = cursor;
        break;
      case 0x18:
        size = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x22:
        pos = readSpan(bytes, pos, end);
        headers = addHeader(headers, bytes, cursor, pos);
        break;
      case 0x2a:
        pos = readSpan(bytes, pos, end);
        payload = view(bytes, cursor, pos);
        break;
      default:
        pos = skipField(bytes, pos, end, tag, KIND);
    }
  }
  return { kind: "data", call, end: last, size, headers, payload };
}

function decodeOpen(bytes: Uint8Array, start: number, end: number, base: OpenFrame | undefined): OpenFrame {
  let pos = start;
  let call = 0;
  let method = 0;
  let name = "";
  let headers: Header[] | undefined;
  let timeoutMs = 0;
  let last = false;
  let size = 0;
  let payload: Uint8Array | undefined;
  if (base !== undefined) {
    ({ call, method, name, timeoutMs, end: last, size, payload } = base);
    headers = base.headers as Header[] | undefined;
  }
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x08:
        call = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x10:
        method = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      case 0x1a:
        pos = readSpan(bytes, pos, end);
        name = readName(bytes, cursor, pos);
        break;
      case 0x22:
        pos = readSpan(bytes, pos, end);
        headers = addHeader(headers, bytes, cursor, pos);
        break;
      case 0x28:
        timeoutMs = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x30:
        last = readBool(bytes, pos, end);
        pos = cursor;
        break;
      case 0x38:
        size = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x42:
        pos = readSpan(bytes, pos, end);
        payload = view(bytes, cursor, pos);
        break;
      default:
        pos = skipField(bytes, pos, end, tag, KIND);
    }
  }
  return { kind: "open", call, method, name, headers, timeoutMs, end: last, size, payload };
}

function decodeEnd(bytes: Uint8Array, start: number, end: number, base: EndFrame | undefined): EndFrame {
  let pos = start;
  let call = 0;
  let code = 0;
  let message = "";
  let details: Detail[] | undefined;
  let headers: Header[] | undefined;
  let trailers: Header[] | undefined;
  let refused = false;
  let payload: Uint8Array | undefined;
  if (base !== undefined) {
    ({ call, code, message, refused, payload } = base);
    details = base.details as Detail[] | undefined;
    headers = base.headers as Header[] | undefined;
    trailers = base.trailers as Header[] | undefined;
  }
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x08:
        call = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x10:
        code = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      case 0x1a:
        pos = readSpan(bytes, pos, end);
        message = readText(bytes, cursor, pos);
        break;
      case 0x22:
        pos = readSpan(bytes, pos, end);
        details = addDetail(details, bytes, cursor, pos);
        break;
      case 0x2a:
        pos = readSpan(bytes, pos, end);
        headers = addHeader(headers, bytes, cursor, pos);
        break;
      case 0x32:
        pos = readSpan(bytes, pos, end);
        trailers = addHeader(trailers, bytes, cursor, pos);
        break;
      case 0x38:
        refused = readBool(bytes, pos, end);
        pos = cursor;
        break;
      case 0x42:
        pos = readSpan(bytes, pos, end);
        payload = view(bytes, cursor, pos);
        break;
      default:
        pos = skipField(bytes, pos, end, tag, KIND);
    }
  }
  return { kind: "end", call, code, message, details, headers, trailers, refused, payload };
}

function decodeCancel(
  bytes: Uint8Array,
  start: number,
  end: number,
  base: CancelFrame | undefined,
): CancelFrame {
  let pos = start;
  let call = base?.call ?? 0;
  let code = base?.code ?? 0;
  let message = base?.message ?? "";
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x08:
        call = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x10:
        code = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      case 0x1a:
        pos = readSpan(bytes, pos, end);
        message = readText(bytes, cursor, pos);
        break;
      default:
        pos = skipField(bytes, pos, end, tag, KIND);
    }
  }
  return { kind: "cancel", call, code, message };
}

function decodeCredit(
  bytes: Uint8Array,
  start: number,
  end: number,
  base: CreditFrame | undefined,
): CreditFrame {
  let pos = start;
  let call = base?.call ?? 0;
  let given = base?.bytes ?? 0;
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x08:
        call = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x10:
        given = readUint(bytes, pos, end);
        pos = cursor;
        break;
      default:
        pos = skipField(bytes, pos, end, tag, KIND);
    }
  }
  return { kind: "credit", call, bytes: given };
}

function decodePing(bytes: Uint8Array, start: number, end: number, base: PingFrame | undefined): PingFrame {
  return { kind: "ping", id: decodeId(bytes, start, end, base?.id ?? 0) };
}

function decodePong(bytes: Uint8Array, start: number, end: number, base: PongFrame | undefined): PongFrame {
  return { kind: "pong", id: decodeId(bytes, start, end, base?.id ?? 0) };
}

function decodeId(bytes: Uint8Array, start: number, end: number, base: number): number {
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

function decodeHello(
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
      default:
        pos = skipField(bytes, pos, end, tag, KIND);
    }
  }
  return { kind: "hello", version, mode, session, epoch, received, credentials, limits, agent };
}

function decodeWelcome(
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

function decodeGoAway(
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

function decodeLimits(
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

function addHeader(headers: Header[] | undefined, bytes: Uint8Array, start: number, end: number): Header[] {
  countEntry(start);
  let pos = start;
  let name = "";
  let value = "";
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x0a:
        pos = readSpan(bytes, pos, end);
        name = readText(bytes, cursor, pos);
        break;
      case 0x12:
        pos = readSpan(bytes, pos, end);
        value = readText(bytes, cursor, pos);
        break;
      default:
        pos = skipField(bytes, pos, end, tag, ENTRY);
    }
  }
  const header: Header = [name, value];
  if (headers === undefined) return [header];
  headers.push(header);
  return headers;
}

function addDetail(details: Detail[] | undefined, bytes: Uint8Array, start: number, end: number): Detail[] {
  countEntry(start);
  let pos = start;
  let type = "";
  let value = EMPTY;
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x0a:
        pos = readSpan(bytes, pos, end);
        type = readText(bytes, cursor, pos);
        break;
      case 0x12:
        pos = readSpan(bytes, pos, end);
        value = view(bytes, cursor, pos);
        break;
      default:
        pos = skipField(bytes, pos, end, tag, ENTRY);
    }
  }
  const detail: Detail = { type, value };
  if (details === undefined) return [detail];
  details.push(detail);
  return details;
}

function countEntry(pos: number): void {
  if (++entries > MAX_ENTRIES_PER_PACKET) {
    throw tooBig(`more than ${MAX_ENTRIES_PER_PACKET} headers and details`, pos);
  }
}

function readName(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > MAX_NAME_BYTES) throw tooBig(`name of ${end - start} bytes`, start);
  return readText(bytes, start, end);
}

function readId(bytes: Uint8Array, start: number, end: number): Uint8Array {
  if (end - start > MAX_ID_BYTES) throw tooBig(`session id or epoch of ${end - start} bytes`, start);
  return view(bytes, start, end);
}

/** A plain `Uint8Array`, whatever subclass `bytes` is: `Buffer`'s own `subarray` costs several times as much. */
function view(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
}
