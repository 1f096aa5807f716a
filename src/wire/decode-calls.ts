/** Decoding of call frames; see `decode.ts` for how these functions are made. */

import { addDetail, addHeader, KIND, readName, view } from "./decode-entries.js";
import type { CancelFrame, CreditFrame, DataFrame, Detail, EndFrame, Header, OpenFrame } from "./frame.js";
import { cursor, readBool, readSpan, readTag, readUint, readUint32, skipField } from "./read.js";
import { readText } from "./text.js";

export function decodeData(
  bytes: Uint8Array,
  start: number,
  end: number,
  base: DataFrame | undefined,
): DataFrame {
  let pos = start;
  let call = 0;
  let last = false;
  let size = 0;
  let headers: Header[] | undefined;
  let resumeToken = "";
  let payload: Uint8Array | undefined;
  if (base !== undefined) {
    ({ call, end: last, size, resumeToken, payload } = base);
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
      case 0x32:
        pos = readSpan(bytes, pos, end);
        resumeToken = readName(bytes, cursor, pos, "resume token");
        break;
      default:
        pos = skipField(bytes, pos, end, tag, KIND);
    }
  }
  return { kind: "data", call, end: last, size, headers, resumeToken, payload };
}

export function decodeOpen(
  bytes: Uint8Array,
  start: number,
  end: number,
  base: OpenFrame | undefined,
): OpenFrame {
  let pos = start;
  let call = 0;
  let method = 0;
  let name = "";
  let headers: Header[] | undefined;
  let timeoutMs = 0;
  let last = false;
  let size = 0;
  let resumeToken = "";
  let idempotencyKey = "";
  let payload: Uint8Array | undefined;
  if (base !== undefined) {
    ({ call, method, name, timeoutMs, end: last, size, resumeToken, idempotencyKey, payload } = base);
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
      case 0x4a:
        pos = readSpan(bytes, pos, end);
        resumeToken = readName(bytes, cursor, pos, "resume token");
        break;
      case 0x52:
        pos = readSpan(bytes, pos, end);
        idempotencyKey = readName(bytes, cursor, pos, "idempotency key");
        break;
      default:
        pos = skipField(bytes, pos, end, tag, KIND);
    }
  }
  return {
    kind: "open",
    call,
    method,
    name,
    headers,
    timeoutMs,
    end: last,
    size,
    resumeToken,
    idempotencyKey,
    payload,
  };
}

export function decodeEnd(
  bytes: Uint8Array,
  start: number,
  end: number,
  base: EndFrame | undefined,
): EndFrame {
  let pos = start;
  let call = 0;
  let code = 0;
  let message = "";
  let details: Detail[] | undefined;
  let headers: Header[] | undefined;
  let trailers: Header[] | undefined;
  let refused = false;
  let unfinished = false;
  let payload: Uint8Array | undefined;
  if (base !== undefined) {
    ({ call, code, message, refused, unfinished, payload } = base);
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
      case 0x48:
        unfinished = readBool(bytes, pos, end);
        pos = cursor;
        break;
      default:
        pos = skipField(bytes, pos, end, tag, KIND);
    }
  }
  return { kind: "end", call, code, message, details, headers, trailers, refused, unfinished, payload };
}

export function decodeCancel(
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

export function decodeCredit(
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
