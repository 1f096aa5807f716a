/**
 * The status codes of gRPC, with gRPC's numbers.
 *
 * Source: gRPC's `statuscodes.md`. `0` (OK) is no error and therefore has no member.
 */
export const Code = {
  /** The caller cancelled the call. */
  Canceled: 1,
  /** An error of no other kind, or one whose code is not known here. */
  Unknown: 2,
  /** The caller gave something that is wrong whatever the state of the system. */
  InvalidArgument: 3,
  /** The deadline passed before the call ended. */
  DeadlineExceeded: 4,
  /** What was asked for does not exist. */
  NotFound: 5,
  /** What was to be created exists already. */
  AlreadyExists: 6,
  /** The caller is known, but may not do this. */
  PermissionDenied: 7,
  /** A limit was reached: quota, memory, message size, calls in flight. */
  ResourceExhausted: 8,
  /** The system is not in the state that the call needs. */
  FailedPrecondition: 9,
  /** A conflict with another change; retry at a higher level. */
  Aborted: 10,
  /** Past the end of a valid range. */
  OutOfRange: 11,
  /** The method does not exist here, or was called as another kind than it is. */
  Unimplemented: 12,
  /** A fault inside the system. */
  Internal: 13,
  /** The other side cannot be reached now; trying again later may help. */
  Unavailable: 14,
  /** Data was lost or is corrupt beyond repair. */
  DataLoss: 15,
  /** The caller is not known: credentials are missing, wrong or expired. */
  Unauthenticated: 16,
} as const;

/** A gRPC status code, 1 to 16. */
export type Code = (typeof Code)[keyof typeof Code];

const NAMES: readonly string[] = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
];

/** gRPC's spelling of a code: `codeName(Code.NotFound)` is `"NOT_FOUND"`. */
export function codeName(code: Code): string {
  return NAMES[code] ?? `CODE_${code}`;
}

/** The code for a number from the wire; numbers that gRPC does not define become {@link Code.Unknown}. */
export function codeFromWire(value: number): Code {
  return value >= 1 && value <= 16 ? (value as Code) : Code.Unknown;
}
