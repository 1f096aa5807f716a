import type { Clock, Random } from "../base/clock.js";
import type { Timers } from "../driver/timers.js";
import type { CallsInit } from "../rpc/call-table.js";
import type { Calls } from "../rpc/calls.js";
import type { Transport } from "../rpc/transport.js";
import type { OutboxBudget } from "../session/host.js";
import type { PacketEncoder } from "../wire/encode.js";
import type { CallRates } from "./call-rates.js";
import type { EndedBy } from "./events.js";
import type { ServerSettings } from "./options.js";
import type { LiveSession } from "./session.js";

/** What all sessions of a server share, and what each tells the table of them. */
export interface SessionOwner {
  readonly settings: ServerSettings;
  readonly timers: Timers;
  readonly random: Random;
  readonly encoder: PacketEncoder;
  readonly epoch: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly wallClock: Clock;
  readonly outboxBudget: OutboxBudget;
  readonly rates: CallRates | undefined;
  /** Shared by the calls of all sessions. */
  readonly calls: CallsInit;
  readonly createTransport: (calls: Calls) => Transport;
  /** The link is gone; the session waits for another. */
  onDetached(session: LiveSession, code: number, reason: string): void;
  /** Nobody came back within the grace time. */
  onExpired(session: LiveSession): void;
  /** The session is over. */
  onEnded(session: LiveSession, by: EndedBy, message: string): void;
}
