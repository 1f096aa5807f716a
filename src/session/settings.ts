import { checkDuration, checkInteger, checkKeys } from "../base/check.js";
import type { WireLimits } from "../wire/frame.js";
import { DEFAULT_LIMITS, effectiveLimits, MIN_LIMITS } from "../wire/limits.js";

/** The session's timers and limits. All times in milliseconds, all sizes in bytes. */
export interface SessionSettings {
  /** Silence after which this side pings. Any inbound bytes count as a sign of life. Default 25,000. */
  readonly pingIntervalMs: number;
  /** Time after a ping within which something must be heard; then the link is cut. Default 10,000. */
  readonly pingTimeoutMs: number;
  /**
   * Age of the oldest unacknowledged packet at which the link is cut. On TCP, resending helps on a new connection
   * only. Default 20,000.
   */
  readonly ackTimeoutMs: number;
  /** Longest time that an acknowledgement waits for a packet to ride on. Default 100. */
  readonly ackDelayMs: number;
  /** Time for a client to open a link, and then again to the end of the handshake. Default 10,000. */
  readonly handshakeTimeoutMs: number;
  /** Packets kept for resending; writers wait when this is reached. Default 4 MiB. */
  readonly outboxBytes: number;
  /**
   * Calls whose messages have waited this long for room in an outbox that was full all the time fail with
   * RESOURCE_EXHAUSTED; `Infinity`: they wait for as long as their session lasts. Default 30,000.
   */
  readonly outboxWaitMs: number;
  /** What this side is ready to receive. */
  readonly limits: WireLimits;
}

/** The defaults of {@link SessionSettings}. */
export const DEFAULT_SETTINGS: SessionSettings = {
  pingIntervalMs: 25_000,
  pingTimeoutMs: 10_000,
  ackTimeoutMs: 20_000,
  ackDelayMs: 100,
  handshakeTimeoutMs: 10_000,
  outboxBytes: 4 * 1024 * 1024,
  outboxWaitMs: 30_000,
  limits: DEFAULT_LIMITS,
};

/** What a user may give of {@link SessionSettings}. */
export type SessionOptions = Partial<Omit<SessionSettings, "limits">> & {
  /** Receive limits: packet, message, credit, header bytes and calls. */
  readonly limits?: Partial<WireLimits>;
};

/** Keys of {@link SessionOptions}, for the check of misspelt options. */
export const SESSION_OPTION_KEYS: readonly string[] = Object.keys(DEFAULT_SETTINGS);

const DURATIONS = [
  "pingIntervalMs",
  "pingTimeoutMs",
  "ackTimeoutMs",
  "ackDelayMs",
  "handshakeTimeoutMs",
  "outboxWaitMs",
] as const;

/** The largest number that the wire can say. */
const MAX_UINT32 = 0xffff_ffff;

/** Room for a few pieces of large messages. */
const MIN_OUTBOX_BYTES = 256 * 1024;

/**
 * Checks options and fills in the defaults.
 *
 * @throws RangeError that names the option which is out of range.
 */
export function resolveSettings(options: SessionOptions): SessionSettings {
  const limits: WireLimits = { ...DEFAULT_LIMITS, ...options.limits };
  checkKeys("limits", limits, Object.keys(DEFAULT_LIMITS));
  for (const name of Object.keys(MIN_LIMITS) as (keyof WireLimits)[]) {
    checkInteger(`limits.${name}`, limits[name], MIN_LIMITS[name], MAX_UINT32);
  }
  const settings: { -readonly [Key in keyof SessionSettings]: SessionSettings[Key] } = {
    ...DEFAULT_SETTINGS,
    limits: effectiveLimits(limits),
  };
  for (const name of DURATIONS)
    settings[name] = checkDuration(name, options[name] ?? settings[name], name === "outboxWaitMs");
  settings.outboxBytes = checkInteger(
    "outboxBytes",
    options.outboxBytes ?? settings.outboxBytes,
    MIN_OUTBOX_BYTES,
  );
  if (settings.ackTimeoutMs <= settings.ackDelayMs) {
    throw new RangeError(
      `ackTimeoutMs (${settings.ackTimeoutMs}) must be longer than ackDelayMs (${settings.ackDelayMs}), or every quiet link is cut`,
    );
  }
  return settings;
}
