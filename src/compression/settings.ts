import { checkInteger, checkKeys } from "../base/check.js";

/**
 * How packets are compressed on their way (permessage-deflate, RFC 7692).
 *
 * - `"off"`: not at all.
 * - `"memory"`: quickly, with a small window, and nothing is kept for a connection between two packets, on either side.
 * - `"balanced"`: better, smaller packets too; nothing is kept either.
 * - `"ratio"`: best. What was sent before helps with what comes, which takes some 300 KiB per connection on each side.
 */
export type CompressionProfile = "off" | "memory" | "balanced" | "ratio";

/** A profile, or single settings on top of one (`"balanced"` unless `profile` says otherwise). */
export interface CompressionOptions {
  readonly profile?: Exclude<CompressionProfile, "off">;
  /** Effort, 1 (quick) to 9 (small), as in zlib. */
  readonly level?: number;
  /** Size of zlib's tables, 1 to 9. */
  readonly memLevel?: number;
  /** Base-2 logarithm of the window that is searched for repetitions, 9 to 15. */
  readonly windowBits?: number;
  /** Whether earlier packets help with later ones, at the cost of memory for every connection. */
  readonly contextTakeover?: boolean;
  /** Shorter packets go as they are, in bytes. */
  readonly thresholdBytes?: number;
}

/** {@link CompressionOptions}, complete and checked. */
export type CompressionSettings = Required<Omit<CompressionOptions, "profile">>;

/** The profiles, but for `"off"`. Figures are in docs/compression.md. */
export const PROFILES: Readonly<Record<Exclude<CompressionProfile, "off">, CompressionSettings>> = {
  memory: { level: 1, memLevel: 5, windowBits: 12, contextTakeover: false, thresholdBytes: 1_024 },
  balanced: { level: 3, memLevel: 8, windowBits: 15, contextTakeover: false, thresholdBytes: 256 },
  ratio: { level: 6, memLevel: 8, windowBits: 15, contextTakeover: true, thresholdBytes: 64 },
};

const KEYS = ["profile", "level", "memLevel", "windowBits", "contextTakeover", "thresholdBytes"];

/**
 * Checks the option and fills in what the profile says.
 *
 * @returns `undefined` for `"off"`, which is the default
 * @throws TypeError or RangeError that names what is wrong.
 */
export function resolveCompression(
  option: CompressionProfile | CompressionOptions = "off",
): CompressionSettings | undefined {
  if (option === "off") return undefined;
  if (typeof option === "string") return profileOf(option);
  if (typeof option !== "object" || option === null)
    throw new TypeError(`compression must be a profile or an object, not ${String(option)}`);
  checkKeys("compression", option, KEYS);
  const { profile = "balanced", contextTakeover } = option;
  const base = profileOf(profile);
  if (contextTakeover !== undefined && typeof contextTakeover !== "boolean")
    throw new TypeError(`compression.contextTakeover must be a boolean, not ${String(contextTakeover)}`);
  return {
    level: checkInteger("compression.level", option.level ?? base.level, 1, 9),
    memLevel: checkInteger("compression.memLevel", option.memLevel ?? base.memLevel, 1, 9),
    windowBits: checkInteger("compression.windowBits", option.windowBits ?? base.windowBits, 9, 15),
    contextTakeover: contextTakeover ?? base.contextTakeover,
    thresholdBytes: checkInteger(
      "compression.thresholdBytes",
      option.thresholdBytes ?? base.thresholdBytes,
      0,
    ),
  };
}

function profileOf(name: string): CompressionSettings {
  const profile = Object.hasOwn(PROFILES, name) ? PROFILES[name as keyof typeof PROFILES] : undefined;
  if (profile === undefined) {
    throw new RangeError(
      `compression must be "off", ${Object.keys(PROFILES)
        .map((known) => `"${known}"`)
        .join(", ")}, or an object, not "${name}"`,
    );
  }
  return profile;
}
