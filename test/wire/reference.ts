// The same packets as protobuf-es has them: what our codec is compared with.
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { PacketSchema, type Packet as PbPacket } from "../../gen/hawser/v1/wire_pb.js";
import type { Detail, Frame, Header, Packet, WireLimits } from "../../src/wire/frame.js";

type PbFrame = PbPacket["frames"][number];
type PbFrameInit = NonNullable<MessageInitShape<typeof PacketSchema>["frames"]>[number];

/** Our packet as a message of protobuf-es. */
export function toPb(packet: Packet): PbPacket {
  return create(PacketSchema, {
    seq: BigInt(packet.seq),
    ack: BigInt(packet.ack),
    frames: packet.frames.map(frameToPb),
  });
}

/** A message of protobuf-es as our packet. */
export function fromPb(packet: PbPacket): Packet {
  return { seq: Number(packet.seq), ack: Number(packet.ack), frames: packet.frames.map(frameFromPb) };
}

export function pbEncode(packet: Packet): Uint8Array {
  return toBinary(PacketSchema, toPb(packet));
}

export function pbDecode(bytes: Uint8Array): Packet {
  return fromPb(fromBinary(PacketSchema, bytes));
}

function frameToPb(frame: Frame): PbFrameInit {
  switch (frame.kind) {
    case "open": {
      const { kind, payload, call, size, timeoutMs, headers, ...rest } = frame;
      const value = {
        ...rest,
        call: BigInt(call),
        size: BigInt(size),
        timeoutMs: BigInt(timeoutMs),
        headers: headersToPb(headers),
        ...(payload === undefined ? {} : { payload }),
      };
      return { kind: { case: kind, value } };
    }
    case "data": {
      const { kind, payload, call, size, headers, end, resumeToken } = frame;
      const value = {
        call: BigInt(call),
        end,
        size: BigInt(size),
        headers: headersToPb(headers),
        resumeToken,
        ...(payload === undefined ? {} : { payload }),
      };
      return { kind: { case: kind, value } };
    }
    case "end": {
      const { kind, payload, call, details, headers, trailers, ...rest } = frame;
      const value = {
        ...rest,
        call: BigInt(call),
        details: [...(details ?? [])],
        headers: headersToPb(headers),
        trailers: headersToPb(trailers),
        ...(payload === undefined ? {} : { payload }),
      };
      return { kind: { case: kind, value } };
    }
    case "cancel":
      return {
        kind: {
          case: "cancel",
          value: { call: BigInt(frame.call), code: frame.code, message: frame.message },
        },
      };
    case "credit":
      return { kind: { case: "credit", value: { call: BigInt(frame.call), bytes: BigInt(frame.bytes) } } };
    case "ping":
    case "pong":
      return { kind: { case: frame.kind, value: { id: BigInt(frame.id) } } };
    case "hello": {
      const { kind, received, limits, ...rest } = frame;
      const value = { ...rest, received: BigInt(received), ...(limits === undefined ? {} : { limits }) };
      return { kind: { case: kind, value } };
    }
    case "welcome": {
      const { kind, received, limits, ...rest } = frame;
      const value = { ...rest, received: BigInt(received), ...(limits === undefined ? {} : { limits }) };
      return { kind: { case: kind, value } };
    }
    case "goAway": {
      const { kind, ...value } = frame;
      return { kind: { case: kind, value } };
    }
    case "refresh": {
      const { kind, ...value } = frame;
      return { kind: { case: kind, value } };
    }
    case "publication": {
      const { kind, topic, offset, step, size, payload } = frame;
      const value = {
        topic: BigInt(topic),
        offset: BigInt(offset),
        step: BigInt(step),
        size: BigInt(size),
        payload,
      };
      return { kind: { case: kind, value } };
    }
    case "attached": {
      const { kind, call, topic, offset, ...rest } = frame;
      const value = { ...rest, call: BigInt(call), topic: BigInt(topic), offset: BigInt(offset) };
      return { kind: { case: kind, value } };
    }
    case "position": {
      const { kind, call, offset, room, ...rest } = frame;
      const value = { ...rest, call: BigInt(call), offset: BigInt(offset), room: BigInt(room) };
      return { kind: { case: kind, value } };
    }
    case "unknown":
      return {};
  }
}

function headersToPb(headers: readonly Header[] | undefined): { name: string; value: string }[] {
  return (headers ?? []).map(([name, value]) => ({ name, value }));
}

function frameFromPb(frame: PbFrame): Frame {
  const { kind } = frame;
  switch (kind.case) {
    case "open": {
      const { call, method, name, headers, timeoutMs, end, size, resumeToken, idempotencyKey, payload } =
        kind.value;
      return {
        kind: "open",
        call: Number(call),
        method,
        name,
        headers: headersFromPb(headers),
        timeoutMs: Number(timeoutMs),
        end,
        size: Number(size),
        resumeToken,
        idempotencyKey,
        payload,
      };
    }
    case "data": {
      const { call, end, size, headers, resumeToken, payload } = kind.value;
      return {
        kind: "data",
        call: Number(call),
        end,
        size: Number(size),
        headers: headersFromPb(headers),
        resumeToken,
        payload,
      };
    }
    case "end": {
      const { call, code, message, details, headers, trailers, refused, unfinished, payload } = kind.value;
      return {
        kind: "end",
        call: Number(call),
        code,
        message,
        details: listFromPb(details.map(({ type, value }): Detail => ({ type, value }))),
        headers: headersFromPb(headers),
        trailers: headersFromPb(trailers),
        refused,
        unfinished,
        payload,
      };
    }
    case "cancel": {
      const { call, code, message } = kind.value;
      return { kind: "cancel", call: Number(call), code, message };
    }
    case "credit":
      return { kind: "credit", call: Number(kind.value.call), bytes: Number(kind.value.bytes) };
    case "ping":
    case "pong":
      return { kind: kind.case, id: Number(kind.value.id) };
    case "hello": {
      const { version, mode, session, epoch, received, credentials, limits, agent, link } = kind.value;
      return {
        kind: "hello",
        version,
        mode,
        session,
        epoch,
        received: Number(received),
        credentials,
        limits: limitsFromPb(limits),
        agent,
        link,
      };
    }
    case "welcome": {
      const { session, epoch, resumed, received, limits, pingIntervalMs, pingTimeoutMs, graceMs } =
        kind.value;
      return {
        kind: "welcome",
        session,
        epoch,
        resumed,
        received: Number(received),
        limits: limitsFromPb(limits),
        pingIntervalMs,
        pingTimeoutMs,
        graceMs,
      };
    }
    case "goAway": {
      const { code, reason, reconnect, afterMs } = kind.value;
      return { kind: "goAway", code, reason, reconnect, afterMs };
    }
    case "refresh": {
      const { credentials, withinMs } = kind.value;
      return { kind: "refresh", credentials, withinMs };
    }
    case "publication": {
      const { topic, offset, step, size, payload } = kind.value;
      return {
        kind: "publication",
        topic: Number(topic),
        offset: Number(offset),
        step: Number(step),
        size: Number(size),
        payload,
      };
    }
    case "attached": {
      const { call, topic, epoch, offset, answers, gap, asks, stale } = kind.value;
      return {
        kind: "attached",
        call: Number(call),
        topic: Number(topic),
        epoch,
        offset: Number(offset),
        answers,
        gap,
        asks,
        stale,
      };
    }
    case "position": {
      const { call, epoch, offset, id, room } = kind.value;
      return { kind: "position", call: Number(call), epoch, offset: Number(offset), id, room: Number(room) };
    }
    case undefined:
      return { kind: "unknown" };
  }
}

function headersFromPb(headers: readonly { name: string; value: string }[]): readonly Header[] | undefined {
  return listFromPb(headers.map(({ name, value }): Header => [name, value]));
}

function listFromPb<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}

function limitsFromPb(limits: WireLimits | undefined): WireLimits | undefined {
  if (limits === undefined) return undefined;
  const { packetBytes, messageBytes, creditBytes, headerBytes, calls } = limits;
  return { packetBytes, messageBytes, creditBytes, headerBytes, calls };
}
