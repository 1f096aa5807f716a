import type { Clock, Random } from "../base/clock.js";
import type { Slices } from "../base/slices.js";
import type { Link, LinkEvents } from "../driver/link.js";
import type { Schedule } from "../driver/timers.js";

/** Why a link could not be opened. */
export interface DialFailure {
  /** Close code that tells what to do next; 1006 when nothing is known. */
  readonly code: number;
  readonly reason: string;
  /** Who has answered with a refusal: the server itself, or somebody on the way; `undefined`: nobody, or it is not known. */
  readonly by?: "server" | "between" | undefined;
}

/** An attempt to open a link. */
export interface Dial {
  /** Gives up the attempt; nothing is called after this. */
  abort(): void;
}

/** What the upgrade request carries, or those that take its place. */
export interface DialRequest {
  /** Headers; platforms that do not let anybody set any leave them out. */
  readonly headers: Readonly<Record<string, string>>;
  /** WebSocket subprotocols, the one that is spoken first. */
  readonly subprotocols: readonly string[];
}

/** What differs between Node and browsers. */
export interface Platform {
  readonly clock: Clock;
  /** Milliseconds since the epoch. */
  readonly wallClock: Clock;
  readonly random: Random;
  /** Fills an array with random bytes that nobody can guess. */
  readonly randomBytes: (into: Uint8Array) => void;
  /** Default: `setTimeout`. */
  readonly schedule?: Schedule;
  /** Memory for packets; the content does not matter. */
  readonly allocate: (bytes: number) => Uint8Array;
  /** Calls a function at the end of this turn of the event loop. */
  readonly defer: (task: () => void) => void;
  /** Cuts the handing out of messages into slices. Default: as many at once as there are. */
  readonly slices?: Slices | undefined;
  /** Opens a link; calls `onOpen` or `onFailure`, once and not before it has returned. */
  dial(
    url: string,
    request: DialRequest,
    events: LinkEvents,
    onOpen: (link: Link) => void,
    onFailure: (failure: DialFailure) => void,
  ): Dial;
  /** The same over HTTP, for where WebSockets do not get through. */
  readonly dialHttp?: Platform["dial"];
  /** Whether connecting makes sense now: not while a page is hidden or the machine is offline. */
  readonly mayConnect?: () => boolean;
  /** Calls a function whenever {@link Platform.mayConnect} may have changed; returns how to stop that. */
  readonly onMayConnect?: (listener: () => void) => () => void;
}
