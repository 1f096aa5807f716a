import { CloseCode } from "../base/close.js";
import { sameBytes } from "../base/hex.js";
import type { BroadcastLink, LinkEvents } from "../driver/link.js";
import type { TimerItem } from "../driver/timers.js";
import type { Identity } from "../rpc/context.js";
import { PROTOCOL_VERSION } from "../session/session.js";
import { decodePacket } from "../wire/decode.js";
import type { PacketOwner } from "../wire/encode.js";
import { WireError } from "../wire/error.js";
import { type HelloFrame, HelloMode, type PingFrame } from "../wire/frame.js";
import { authenticate, refusalOf, type UpgradeInfo } from "./authentication.js";
import type { LinkSession, LiveSession } from "./session.js";
import type { Sessions } from "./sessions.js";

/** A Hello, credentials and all, is not larger than this. */
const MAX_HELLO_BYTES = 32 * 1024;

/** Told how a {@link Greeting} goes. */
export interface GreetingHost {
  /** The client is authenticated. */
  onWelcome(): void;
  /** The link serves this session. */
  onSession(session: LiveSession): void;
}

/** What a {@link Greeting} may know beside its link. */
export interface GreetingOptions {
  /** Another node has authenticated the client: `identity` is who it is, even if it is nobody. */
  readonly known?: boolean;
  /** Who the client is, where the upgrade request has said so already. */
  readonly identity?: Identity | undefined;
  readonly host?: GreetingHost;
}

/** A link that has come in: awaits its Hello, authenticates, and hands it to its session. */
export class Greeting implements TimerItem, LinkEvents {
  dueAt: number = Number.POSITIVE_INFINITY;
  heapIndex = -1;
  readonly #sessions: Sessions;
  readonly #host: GreetingHost | undefined;
  /** What is known of the client, until it is welcome or turned away. */
  #info: UpgradeInfo | undefined;
  #identity: Identity | undefined;
  readonly #link: BroadcastLink;
  #session: LinkSession | undefined;
  readonly #known: boolean;
  #asked = false;
  #greeted = false;
  #gone = false;

  /** @param open makes the link; it must not call the events before it has returned. */
  constructor(
    sessions: Sessions,
    open: (events: LinkEvents) => BroadcastLink,
    info: UpgradeInfo,
    options: GreetingOptions = {},
  ) {
    this.#sessions = sessions;
    this.#info = info;
    this.#identity = options.identity;
    this.#host = options.host;
    this.#known = options.known === true;
    const { timers, settings } = sessions;
    this.#link = open(this);
    timers.atLatest(this, timers.clock() + settings.session.handshakeTimeoutMs);
  }

  /** No Hello in time, or authentication takes too long. */
  expire(): void {
    this.#reject(
      CloseCode.handshakeTimeout,
      `the handshake took longer than ${this.#sessions.settings.session.handshakeTimeoutMs} ms`,
    );
  }

  /** Closes a link that has no session yet; a session closes its own. */
  close(code: number, reason: string): void {
    if (this.#session === undefined) this.#reject(code, reason);
  }

  onText(): void {
    if (this.#session === undefined)
      this.#reject(CloseCode.textMessage, "Hawser speaks binary messages only");
    else this.#session.text(this.#link);
  }

  onDrain(): void {
    this.#session?.drained(this.#link);
  }

  onClose(code: number, reason: string): void {
    this.#gone = true;
    this.#sessions.timers.delete(this);
    this.#session?.linkClosed(this.#link, code, reason);
  }

  onMessage(bytes: Uint8Array): void {
    if (this.#session !== undefined) {
      this.#session.receive(this.#link, bytes);
      return;
    }
    if (this.#gone) return;
    if (this.#greeted) return this.#reject(CloseCode.badHello, "a packet arrived before Welcome was sent");
    let first: HelloFrame | PingFrame;
    try {
      first = readFirst(bytes, !this.#asked);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return this.#reject(error.closeCode, error.message);
    }
    if (first.kind === "ping") {
      this.#asked = true;
      return this.#answer(first);
    }
    this.#greeted = true;
    void this.#enter(first);
  }

  /** A client wants to know whether packets get through before it gives up another link. */
  #answer({ id }: PingFrame): void {
    const { encoder } = this.#sessions;
    encoder.claim(PONG);
    encoder.add({ kind: "pong", id });
    this.#link.send(encoder.finish(0, 0));
  }

  async #enter(hello: HelloFrame): Promise<void> {
    const { settings, wallClock } = this.#sessions;
    const info = this.#info as UpgradeInfo;
    try {
      // What is known is entered at once: the node that has passed it on waits.
      const identity = this.#known
        ? this.#identity
        : (this.#identity ?? (await authenticate(settings, wallClock(), info, hello.credentials, "connect")));
      if (this.#gone) return;
      this.#sessions.timers.delete(this);
      this.#host?.onWelcome();
      if (await this.#relayed(hello, identity, info)) return;
      const entered = this.#sessions.enter(hello, identity, this.#link, info);
      if ("refused" in entered) return this.#reject(entered.refused, entered.reason);
      this.#session = entered;
      // The session keeps what it may need again, in less room.
      this.#info = undefined;
      this.#identity = undefined;
      this.#host?.onSession(entered);
      // What was written to it at once may have broken it, when nobody could be told yet.
      if (this.#gone) entered.linkClosed(this.#link, CloseCode.abnormal, "the link broke");
    } catch (error) {
      const { closeCode, reason } = refusalOf(error, settings);
      this.#reject(closeCode, reason);
    }
  }

  /** Whether the session is on another node, which goes on with it. */
  async #relayed(hello: HelloFrame, identity: Identity | undefined, info: UpgradeInfo): Promise<boolean> {
    const { cluster, epoch } = this.#sessions;
    if (cluster === undefined || hello.mode !== HelloMode.resume || sameBytes(hello.epoch, epoch))
      return false;
    const relayed = await cluster.relay(hello, identity, this.#link, info);
    if (relayed === "gone") return this.#gone;
    if (relayed === "later") {
      this.#reject(CloseCode.tryLater, "the node that has the session cannot be asked at the moment");
      return true;
    }
    if (this.#gone) relayed.linkClosed(this.#link, CloseCode.abnormal, "");
    else this.#session = relayed;
    this.#info = undefined;
    this.#identity = undefined;
    return true;
  }

  #reject(code: number, reason: string): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#sessions.timers.delete(this);
    const { observer } = this.#sessions.settings;
    observer?.refused?.({ address: this.#info?.remoteAddress, status: code, reason });
    this.#link.close(code, reason);
  }
}

/** Its packet is finished as soon as it is begun. */
const PONG: PacketOwner = { yieldEncoder: () => undefined };

/** @param mayAsk a Ping may come ahead of Hello */
function readFirst(bytes: Uint8Array, mayAsk: boolean): HelloFrame | PingFrame {
  if (bytes.length > MAX_HELLO_BYTES) {
    throw new WireError(
      `the first packet has ${bytes.length} bytes, over the limit of ${MAX_HELLO_BYTES}`,
      CloseCode.tooBig,
    );
  }
  const { frames, seq } = decodePacket(bytes);
  const [hello] = frames;
  if (mayAsk && hello?.kind === "ping" && frames.length === 1 && seq === 0) return hello;
  if (hello?.kind !== "hello" || frames.length !== 1 || seq !== 0) {
    throw new WireError("the first packet must hold a Hello and nothing else", CloseCode.badHello);
  }
  if (hello.version !== PROTOCOL_VERSION) {
    throw new WireError(
      `protocol version ${hello.version}; this server speaks ${PROTOCOL_VERSION}`,
      CloseCode.badHello,
    );
  }
  if (hello.mode !== HelloMode.begin && hello.mode !== HelloMode.resume) {
    throw new WireError(
      `Hello.mode is ${hello.mode}; it must say whether to begin or to resume`,
      CloseCode.badHello,
    );
  }
  return hello;
}
