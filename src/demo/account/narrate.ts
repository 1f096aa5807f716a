import { codeName, RpcError } from "../../index.js";
import { time } from "../format.js";
import type { CallName, Printer } from "./printer.js";

/** A call that tells of itself in the account. */
export interface Narrated {
  /** A line about this call. */
  say(text: string): void;
  /** The last line: status OK, the duration, and what came of it. */
  ended(text: string): void;
}

/**
 * Runs a call and prints its beginning, its end, its duration and its code.
 *
 * @returns What `call` returns; the error when it fails, so that the other calls of the account go on.
 */
export async function narrate<T>(
  printer: Printer,
  name: CallName,
  begun: string,
  call: (narrated: Narrated) => Promise<T>,
): Promise<T | Error> {
  const begin = performance.now();
  const end = (status: string, text: string) =>
    printer.event(name, `ended    ${status} after ${time(performance.now() - begin)}: ${text}`);
  printer.event(name, `started  ${begun}`);
  try {
    return await call({
      say: (text) => printer.event(name, `         ${text}`),
      ended: (text) => end("OK", text),
    });
  } catch (reason) {
    const error = RpcError.from(reason);
    end(codeName(error.code), `${error.rawMessage} (handler ran: ${error.executed})`);
    return error;
  }
}
