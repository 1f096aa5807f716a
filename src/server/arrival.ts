import { CloseCode } from "../base/close.js";
import { TokenBucket } from "../base/token-bucket.js";
import type { BroadcastLink, LinkEvents } from "../driver/link.js";
import { type LinkOwner, ObservedLink } from "../driver/observed-link.js";
import type { Identity } from "../rpc/context.js";
import type { UpgradeInfo } from "./authentication.js";
import type { Carrier } from "./carrier.js";
import { Greeting, type GreetingHost } from "./greeting.js";
import { isFromHere } from "./origin.js";
import type { LiveSession } from "./session.js";
import type { Sessions } from "./sessions.js";
import { Trunk, type TrunkDoor } from "./trunk.js";

/** Who is at the other end: one link that greets, or a trunk of several. */
type Guest = LinkEvents & Pick<Greeting, "close">;

/** What a client may send before it is authenticated: a Hello with credentials, and the frame around it. */
export const MAX_STRANGER_BYTES: number = 36 * 1024;

/**
 * A link that has come in, and all that stands between it and its session: little may come in over it until the client is
 * known, and from then on no more per second than is allowed.
 *
 * Above the rate nothing is read from it for a while. The client's writes wait then, as on a slow network: honest clients
 * lose nothing, and others cannot make the server work faster.
 */
export class Arrival implements LinkEvents, GreetingHost {
  readonly #carrier: Carrier;
  readonly #sessions: Sessions;
  readonly #address: string | undefined;
  readonly #watch: ObservedLink | undefined;
  readonly #messages: TokenBucket | undefined;
  readonly #bytes: TokenBucket | undefined;
  readonly #guest: Guest;
  readonly #onGone: (arrival: Arrival) => void;
  #strange = 0;
  #paused: (() => void) | undefined;

  /** @param trunk it carries several links, each of which comes in through this door */
  constructor(
    carrier: Carrier,
    sessions: Sessions,
    info: UpgradeInfo,
    identity: Identity | undefined,
    onGone: (arrival: Arrival) => void,
    trunk: TrunkDoor | undefined,
  ) {
    const { observer, messagesPerSecond, bytesPerSecond } = sessions.settings;
    this.#carrier = carrier;
    this.#sessions = sessions;
    this.#address = info.remoteAddress;
    this.#onGone = onGone;
    const never = Number.POSITIVE_INFINITY;
    if (messagesPerSecond < never) this.#messages = new TokenBucket(messagesPerSecond);
    if (bytesPerSecond < never) this.#bytes = new TokenBucket(bytesPerSecond);
    carrier.watchBytes(this.#onStrange);
    const clock = sessions.timers.clock;
    if (observer !== undefined) {
      const local = isFromHere(info);
      this.#watch = new ObservedLink("server", this.#address, observer, clock, local, carrier.transport);
    }
    const open = (): BroadcastLink => {
      const link = carrier.open(this.#watch?.events(this) ?? this);
      return this.#watch?.link(link) ?? link;
    };
    // Its events pass through here.
    this.#guest =
      trunk === undefined
        ? new Greeting(sessions, open, info, { identity, host: this })
        : // Who made the first request says nothing of the other tabs: each lane is authenticated.
          new Trunk(sessions, open, info, { ...trunk, onWelcome: () => this.onWelcome() });
    // It takes its part of the rate.
    if (this.#messages !== undefined || this.#bytes !== undefined) carrier.watchOthers(this.#onOther);
    this.#watch?.opened();
  }

  /** Closes a link that has no session yet; a session closes its own. */
  close(code: number, reason: string): void {
    this.#guest.close(code, reason);
  }

  // ---- what the link says --------------------------------------------------------------------------------------

  onMessage(bytes: Uint8Array): void {
    this.#guest.onMessage(bytes);
    if (this.#messages !== undefined || this.#bytes !== undefined) this.#count(bytes.length);
  }

  onText(): void {
    this.#guest.onText();
  }

  onDrain(): void {
    this.#guest.onDrain();
  }

  onClose(code: number, reason: string): void {
    this.onWelcome();
    this.#paused?.();
    this.#paused = undefined;
    this.#guest.onClose(code, reason);
    this.#onGone(this);
  }

  // ---- what the greeting says ----------------------------------------------------------------------------------

  onWelcome(): void {
    this.#carrier.watchBytes(undefined);
  }

  onSession(session: LiveSession): void {
    if (this.#watch !== undefined) this.#watch.owner = ownerOf(session);
  }

  #count(bytes: number): void {
    const { timers, settings } = this.#sessions;
    const now = timers.clock();
    const messagesWait = this.#messages?.take(1, now) ?? 0;
    const bytesWait = this.#bytes?.take(bytes, now) ?? 0;
    const wait = Math.max(messagesWait, bytesWait);
    if (wait === 0 || this.#paused !== undefined) return;
    const limit = messagesWait > bytesWait ? "messagesPerSecond" : "bytesPerSecond";
    settings.observer?.limited?.({ limit, identity: this.#watch?.identity, address: this.#address });
    this.#carrier.pause();
    this.#paused = timers.after(wait, () => {
      this.#paused = undefined;
      this.#carrier.resume();
    });
  }

  readonly #onOther = (bytes: number): void => this.#count(bytes);

  readonly #onStrange = (bytes: number): void => {
    this.#strange += bytes;
    if (this.#strange <= MAX_STRANGER_BYTES) return;
    this.onWelcome();
    this.close(CloseCode.tooBig, `more than ${MAX_STRANGER_BYTES} bytes before authentication`);
    // Whatever length the frame has announced: nothing more of it is read.
    this.#carrier.pause();
  };
}

function ownerOf(session: LiveSession): LinkOwner {
  return {
    sessionId: session.id,
    get identity() {
      return session.identity?.id;
    },
    get rtt() {
      return session.rtt;
    },
  };
}
