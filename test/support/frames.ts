import { encodePacket } from "../../src/wire/encode.js";
import type {
  CancelFrame,
  CreditFrame,
  DataFrame,
  EndFrame,
  Frame,
  GoAwayFrame,
  HelloFrame,
  OpenFrame,
  PingFrame,
  PongFrame,
  WelcomeFrame,
} from "../../src/wire/frame.js";

type Given<T> = Partial<Omit<T, "kind">>;

const NOTHING = new Uint8Array(0);

/** Frames with all fields that are not given left empty, so that a test says only what matters to it. */
export const frames = {
  hello: (given: Given<HelloFrame> = {}): HelloFrame => ({
    kind: "hello",
    version: 1,
    mode: 1,
    session: NOTHING,
    epoch: NOTHING,
    received: 0,
    credentials: "",
    limits: undefined,
    agent: "raw",
    link: 0,
    ...given,
  }),
  welcome: (given: Given<WelcomeFrame> = {}): WelcomeFrame => ({
    kind: "welcome",
    session: new Uint8Array(16).fill(7),
    epoch: new Uint8Array(16).fill(8),
    resumed: false,
    received: 0,
    limits: undefined,
    pingIntervalMs: 0,
    pingTimeoutMs: 0,
    graceMs: 60_000,
    ...given,
  }),
  open: (given: Given<OpenFrame> = {}): OpenFrame => ({
    kind: "open",
    call: 1,
    method: 1,
    name: "hawser.test.v1.EchoService/Echo",
    headers: undefined,
    timeoutMs: 0,
    end: true,
    size: 0,
    resumeToken: "",
    idempotencyKey: "",
    payload: NOTHING,
    ...given,
  }),
  data: (given: Given<DataFrame> = {}): DataFrame => ({
    kind: "data",
    call: 1,
    end: false,
    size: 0,
    headers: undefined,
    resumeToken: "",
    payload: NOTHING,
    ...given,
  }),
  end: (given: Given<EndFrame> = {}): EndFrame => ({
    kind: "end",
    call: 1,
    code: 0,
    message: "",
    details: undefined,
    headers: undefined,
    trailers: undefined,
    refused: false,
    unfinished: false,
    payload: undefined,
    ...given,
  }),
  cancel: (given: Given<CancelFrame> = {}): CancelFrame => ({
    kind: "cancel",
    call: 1,
    code: 1,
    message: "",
    ...given,
  }),
  credit: (given: Given<CreditFrame> = {}): CreditFrame => ({
    kind: "credit",
    call: 1,
    bytes: 1,
    ...given,
  }),
  ping: (given: Given<PingFrame> = {}): PingFrame => ({ kind: "ping", id: 1, ...given }),
  pong: (given: Given<PongFrame> = {}): PongFrame => ({ kind: "pong", id: 1, ...given }),
  goAway: (given: Given<GoAwayFrame> = {}): GoAwayFrame => ({
    kind: "goAway",
    code: 1001,
    reason: "",
    reconnect: true,
    afterMs: 0,
    ...given,
  }),
};

/** One packet. `seq` 0: control frames. */
export function packet(seq: number, ...list: readonly Frame[]): Uint8Array {
  return encodePacket({ seq, ack: 0, frames: list });
}

/** A packet that acknowledges. */
export function ackPacket(ack: number, seq = 0, ...list: readonly Frame[]): Uint8Array {
  return encodePacket({ seq, ack, frames: list });
}

/** Bytes that are written as hexadecimal digits; blanks do not matter. */
export function hexBytes(digits: string): Uint8Array {
  return Uint8Array.from(Buffer.from(digits.replaceAll(/\s/g, ""), "hex"));
}

/** Several arrays as one. */
export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
