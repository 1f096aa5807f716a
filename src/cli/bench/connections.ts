import { RpcError } from "../../base/error.js";
import type { Connection } from "../../client/connection.js";
import type { ConnectOptions } from "../../client/options.js";
import { dial } from "../target.js";

/** Handshakes that are under way at a time: a server is not stormed with all of them at once. */
const AT_A_TIME = 16;

/** What became of the connections while there was load on them. */
export interface ConnectionFigures {
  /** Links that broke and came back with their sessions. */
  readonly resumed: number;
  /** Sessions that the server no longer had. */
  readonly lost: number;
  /** Connections that were not open at the end. */
  readonly down: number;
}

/** The connections of a run. */
export interface Connections {
  readonly list: readonly [Connection, ...Connection[]];
  figures(): ConnectionFigures;
  close(): Promise<void>;
}

/**
 * Opens connections, some at a time.
 *
 * @param first is open already, and one of them
 * @param onOpen told how many are open
 * @throws RpcError that counts the connections, with what the server said, when one cannot be opened; none is left open then.
 */
export async function openConnections(
  first: Connection,
  count: number,
  url: string,
  options: ConnectOptions,
  onOpen: (open: number) => void,
  signal: AbortSignal,
): Promise<Connections> {
  const list: [Connection, ...Connection[]] = [first];
  let failure: unknown;
  let begun = 1;
  const work = async () => {
    while (begun < count && failure === undefined && !signal.aborted) {
      const number = ++begun;
      try {
        list.push(await dial(url, options, signal));
        onOpen(list.length);
      } catch (error) {
        failure ??= numbered(error, number, count);
      }
    }
  };
  onOpen(list.length);
  await Promise.all(Array.from({ length: Math.min(AT_A_TIME, count - 1) }, work));
  const close = async () => {
    await Promise.all(list.map((connection) => connection.close()));
  };
  if (failure !== undefined) {
    await close();
    throw failure;
  }
  let resumed = 0;
  let lost = 0;
  for (const connection of list) {
    connection.on("resumed", () => resumed++);
    connection.on("lost", () => lost++);
  }
  const figures = () => ({ resumed, lost, down: list.filter(({ state }) => state !== "open").length });
  return { list, figures, close };
}

function numbered(error: unknown, number: number, count: number): unknown {
  if (!(error instanceof RpcError)) return error;
  const hint = `connection ${number} of ${count}: ${error.rawMessage}`;
  return new RpcError(hint, error.code, { executed: "no", cause: error });
}
