/**
 * The frames and packets of `proto/hawser/v1/wire.proto` as plain objects.
 *
 * These are the shapes that session and calls work with. Every frame kind has all its fields at all times, in one
 * order, so that the engine sees one hidden class per kind. Absent sub-messages and payloads are `undefined`,
 * absent scalars are `0`, `""` or `false`, as in proto3.
 */

/** One metadata entry: lower-case name, value. A name that ends in `-bin` carries base64. */
export type Header = readonly [name: string, value: string];

/** A typed error detail: full message name and encoding. */
export interface Detail {
  readonly type: string;
  readonly value: Uint8Array;
}

/** Begins a call. */
export interface OpenFrame {
  readonly kind: "open";
  readonly call: number;
  readonly method: number;
  readonly name: string;
  readonly headers: readonly Header[] | undefined;
  readonly timeoutMs: number;
  readonly end: boolean;
  readonly size: number;
  /** Go on behind the message that carried this token. */
  readonly resumeToken: string;
  /** Names the call over all its attempts. */
  readonly idempotencyKey: string;
  readonly payload: Uint8Array | undefined;
  /** Not on the wire: the packet with this frame must not be compressed. */
  readonly plain?: boolean;
}

/** A message or a piece of one. */
export interface DataFrame {
  readonly kind: "data";
  readonly call: number;
  readonly end: boolean;
  readonly size: number;
  readonly headers: readonly Header[] | undefined;
  /** A later Open with this token gets what comes behind this message. */
  readonly resumeToken: string;
  readonly payload: Uint8Array | undefined;
  /** Not on the wire: the packet with this frame must not be compressed. */
  readonly plain?: boolean;
}

/** The one outcome of a call. */
export interface EndFrame {
  readonly kind: "end";
  readonly call: number;
  readonly code: number;
  readonly message: string;
  readonly details: readonly Detail[] | undefined;
  readonly headers: readonly Header[] | undefined;
  readonly trailers: readonly Header[] | undefined;
  /** The call was turned away before a handler saw it. */
  readonly refused: boolean;
  /** The handler was still at work when the call ended. */
  readonly unfinished: boolean;
  readonly payload: Uint8Array | undefined;
  /** Not on the wire: the packet with this frame must not be compressed. */
  readonly plain?: boolean;
}

/** The caller is no longer interested. */
export interface CancelFrame {
  readonly kind: "cancel";
  readonly call: number;
  readonly code: number;
  readonly message: string;
}

/** Bytes that the receiver has consumed and gives back. */
export interface CreditFrame {
  readonly kind: "credit";
  readonly call: number;
  readonly bytes: number;
}

/** Asks for a {@link PongFrame}. */
export interface PingFrame {
  readonly kind: "ping";
  readonly id: number;
}

/** Answers a {@link PingFrame}. */
export interface PongFrame {
  readonly kind: "pong";
  readonly id: number;
}

/** What one side is ready to receive; 0 stands for the protocol's default. */
export interface WireLimits {
  readonly packetBytes: number;
  readonly messageBytes: number;
  readonly creditBytes: number;
  readonly headerBytes: number;
  readonly calls: number;
}

/** `Hello.mode`: begin a new session (1) or resume one (2). Other numbers are kept as received. */
export const HelloMode = { begin: 1, resume: 2 } as const;

/** First frame of the side that connected. */
export interface HelloFrame {
  readonly kind: "hello";
  readonly version: number;
  readonly mode: number;
  readonly session: Uint8Array;
  readonly epoch: Uint8Array;
  readonly received: number;
  readonly credentials: string;
  readonly limits: WireLimits | undefined;
  readonly agent: string;
  /** Number of the link among those of the client's connection; 0: not said. */
  readonly link: number;
}

/** The answer to {@link HelloFrame}. */
export interface WelcomeFrame {
  readonly kind: "welcome";
  readonly session: Uint8Array;
  readonly epoch: Uint8Array;
  readonly resumed: boolean;
  readonly received: number;
  readonly limits: WireLimits | undefined;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  readonly graceMs: number;
}

/** The sender is about to close the link. */
export interface GoAwayFrame {
  readonly kind: "goAway";
  readonly code: number;
  readonly reason: string;
  readonly reconnect: boolean;
  readonly afterMs: number;
}

/** Asks for new credentials (`withinMs`), or brings them. */
export interface RefreshFrame {
  readonly kind: "refresh";
  readonly credentials: string;
  readonly withinMs: number;
}

/** A message of a topic, or a piece of one. */
export interface PublicationFrame {
  readonly kind: "publication";
  readonly topic: number;
  readonly offset: number;
  /** Distance to the offset of the one before it; 0: that does not have to be known. */
  readonly step: number;
  readonly size: number;
  readonly payload: Uint8Array;
}

/** `Attached.gap`. Other numbers are kept as received. */
export const Gap = { none: 0, noHistory: 1, historyTooShort: 2, newEpoch: 3, brokerLoss: 4 } as const;

/** A call gets its messages from a topic. */
export interface AttachedFrame {
  readonly kind: "attached";
  readonly call: number;
  readonly topic: number;
  readonly epoch: string;
  readonly offset: number;
  /** Id of the {@link PositionFrame} that this answers; 0: none. */
  readonly answers: number;
  readonly gap: number;
  readonly asks: boolean;
  readonly stale: boolean;
}

/** How far a subscriber has got, and what it has room for. */
export interface PositionFrame {
  readonly kind: "position";
  readonly call: number;
  readonly epoch: string;
  readonly offset: number;
  readonly id: number;
  readonly room: number;
}

/** A frame whose kind this version does not know; only decoding makes it. */
export interface UnknownFrame {
  readonly kind: "unknown";
}

/** Sequenced frames: acknowledged and resent. */
export type CallFrame = OpenFrame | DataFrame | EndFrame | CancelFrame | CreditFrame;

/** Frames of topics. */
export type TopicFrame = PublicationFrame | AttachedFrame | PositionFrame;

/** Unsequenced frames: they live and die with the link. */
export type ControlFrame =
  | PingFrame
  | PongFrame
  | HelloFrame
  | WelcomeFrame
  | GoAwayFrame
  | RefreshFrame
  | TopicFrame;

/** Any frame. */
export type Frame = CallFrame | ControlFrame | UnknownFrame;

/** A decoded packet. Payloads are views into the bytes it was decoded from. */
export interface Packet {
  readonly seq: number;
  readonly ack: number;
  readonly frames: readonly Frame[];
}
