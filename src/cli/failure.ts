import { RpcError } from "../base/error.js";

/** Exit codes of every command. */
export const EXIT = {
  ok: 0,
  /** What went wrong has no status code. */
  failed: 1,
  /** The arguments, or what they name, cannot be used. */
  usage: 2,
  /** Ended by Ctrl-C, as shells count it: 128 and the signal's number. */
  interrupted: 130,
} as const;

/** Something that the user has to change; the message says what. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Exit code for an error: eight times the status code of a call, as `buf curl` and `grpcurl` have it. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  return error instanceof RpcError ? error.code * 8 : EXIT.failed;
}

/** What a thrown value says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
