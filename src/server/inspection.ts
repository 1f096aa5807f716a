import type { IncomingMessage, ServerResponse } from "node:http";
import type { Observer } from "../base/observer.js";
import type { Routes } from "../rpc/router.js";
import type { ServerSettings } from "./options.js";
import type { Sessions } from "./sessions.js";

/** The insides of a server, for its inspector. */
export interface InspectedServer {
  readonly settings: ServerSettings;
  readonly sessions: Sessions;
}

/** What `inspector()` of `hawser/inspector` makes: an option of `createServer`. One for each server. */
export interface ServerInspector {
  /**
   * For HTTP servers that a user brings: answers requests for the page and its files, and says whether the request was for one.
   * With `listen` they are answered already.
   */
  answer(request: IncomingMessage, response: ServerResponse): boolean;
}

/** What a server needs of its inspector. */
export interface Inspection extends ServerInspector {
  /** Follows what happens. */
  readonly observer: Observer;
  /** The service behind the page. */
  readonly routes: Routes;
  /** Whether calls are let through by who makes them, so that the server has to find that out. */
  readonly needsIdentity: boolean;
  /**
   * Called once, when the server is made.
   *
   * @throws Error when it serves another one already.
   */
  start(server: InspectedServer): void;
  /** The server's WebSocket is served at this path. */
  serving(path: string): void;
  /** The server is closed. */
  close(): void;
}

/**
 * The inspector that was given to a server.
 *
 * @throws TypeError for what `inspector()` has not made, or where nobody would be known.
 */
export function inspectionOf(
  inspector: ServerInspector | undefined,
  authenticates: boolean,
): Inspection | undefined {
  if (inspector === undefined) return undefined;
  const inspection = inspector as Partial<Inspection> | null;
  if (typeof inspection?.start !== "function")
    throw new TypeError("inspector must be what inspector() of hawser/inspector returns");
  if (inspection.needsIdentity === true && !authenticates) {
    throw new TypeError(
      'the inspector lets nobody in without an identity: give createServer() authenticate, or, on your own machine, inspector() allow: "loopback"',
    );
  }
  return inspection as Inspection;
}
