import type { RequestShape } from "../idempotency/store.js";

/** What is kept of a key. */
export interface IdempotencyRecord extends RequestShape {
  /** Of the attempt that holds the claim, or held it. */
  readonly attempt: number;
  /** Random, and new for each claim: attempts count from 1 again once a key is forgotten. `""`: it was given back. */
  readonly nonce: string;
  /** In milliseconds since the epoch: end of the lease while it runs, then of the time that its outcome is kept. */
  readonly until: number;
  /** `undefined`: it runs. */
  readonly outcome: Uint8Array | undefined;
}

/** Layout of a record. */
const VERSION = 1;

const LINE_FEED = 0x0a;

/** A record as it is stored: one line of JSON, which `nats kv get` shows, and the bytes of the outcome, if there is one. */
export function encodeRecord({ outcome, ...head }: IdempotencyRecord): Uint8Array {
  const line = JSON.stringify({ version: VERSION, done: outcome !== undefined, ...head });
  return Buffer.concat([Buffer.from(`${line}\n`), outcome ?? new Uint8Array(0)]);
}

/**
 * What {@link encodeRecord} has made.
 *
 * @throws Error when it is something else, or of another version.
 */
export function decodeRecord(bytes: Uint8Array): IdempotencyRecord {
  const end = bytes.indexOf(LINE_FEED);
  const { version, done, ...head } = parsed(bytes.subarray(0, Math.max(end, 0)));
  if (version !== VERSION) {
    throw new Error(
      version === undefined
        ? "the bucket of idempotency keys holds something that is no record; give another bucket"
        : `the bucket of idempotency keys holds records of version ${version}, and this is version ${VERSION}; give another bucket`,
    );
  }
  return { ...head, outcome: done ? bytes.subarray(end + 1) : undefined };
}

interface Head extends Omit<IdempotencyRecord, "outcome"> {
  readonly version?: unknown;
  readonly done: boolean;
}

function parsed(line: Uint8Array): Head {
  try {
    return (JSON.parse(new TextDecoder().decode(line)) ?? {}) as Head;
  } catch {
    // Whatever it is: it has no version.
    return {} as Head;
  }
}
