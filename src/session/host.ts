import type { PacketEncoder } from "../wire/encode.js";
import type { CallFrame, GoAwayFrame, RefreshFrame, TopicFrame } from "../wire/frame.js";
import type { Pace } from "./pace.js";
import type { SessionSettings } from "./settings.js";

/** How a session came to be open. */
export interface SessionOpened {
  /** The session went on after a break. */
  readonly resumed: boolean;
  /** Packets that this side writes again. */
  readonly resent: number;
}

/** What stands around a session: calls above it, the driver of the link below it. */
export interface SessionHost {
  /** A call frame; every one of a session arrives here once, in order. Throws `WireError` when it breaks a rule. */
  onFrame(frame: CallFrame): void;
  /** The next frame of those that wait for room, if there is one. */
  pullFrame(): CallFrame | undefined;
  /** The handshake is done. */
  onOpen(opened: SessionOpened): void;
  /**
   * The other side no longer has the session; a new one takes its place, and all calls that were opened are lost.
   *
   * @param lastOpenWritten number of the last call of this side whose Open was written to any link.
   */
  onLost(lastOpenWritten: number): void;
  /** The other side is about to close the link. */
  onGoAway(frame: GoAwayFrame): void;
  /** The other side asks for new credentials, or brings them. */
  onRefresh(frame: RefreshFrame): void;
  /** A frame of a topic. Throws `WireError` when it breaks a rule. */
  onTopic(frame: TopicFrame): void;
  /** The link must be closed with this code. */
  onCut(code: number, reason: string): void;
  /** There is something to transmit: at once when `full`, else at the end of this turn of the event loop. */
  onWake(full: boolean): void;
}

/** What the outboxes of all sessions of a process hold together, in bytes. */
export interface OutboxBudget {
  used: number;
  readonly limit: number;
}

/** Identity and role of a session. */
export interface SessionInit {
  /** `"client"`: the side that connects and greets. `"server"`: the side that accepts. */
  readonly role: "client" | "server";
  readonly settings: SessionSettings;
  readonly host: SessionHost;
  /** Shared by all sessions of a process. */
  readonly encoder: PacketEncoder;
  /** Shared by all sessions of a process; default: no limit. */
  readonly outboxBudget?: OutboxBudget | undefined;
  /** Shared by all clients of a process. Default: packets are full with as many frames as any. */
  readonly pace?: Pace | undefined;
  /** Server only: the session's id and the server's epoch. */
  readonly id?: Uint8Array;
  readonly epoch?: Uint8Array;
  /** Server only: how long the session is kept without a link, for the client to know. */
  readonly graceMs?: number;
  /** Client only: name and version for the server's logs. */
  readonly agent?: string;
}
