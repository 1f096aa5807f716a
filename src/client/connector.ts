import { afterClose, CloseCode } from "../base/close.js";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import { hex } from "../base/hex.js";
import { Driver } from "../driver/driver.js";
import { Emitter } from "../driver/emitter.js";
import type { Link, LinkKind } from "../driver/link.js";
import { Timers } from "../driver/timers.js";
import { Retrier } from "../retry/retrier.js";
import type { Peer, PeerEvents } from "../rpc/peer.js";
import type { SessionOpened } from "../session/host.js";
import type { GoAwayFrame, RefreshFrame } from "../wire/frame.js";
import { backoffDelay } from "./backoff.js";
import { createPeer } from "./client-peer.js";
import type { Connection, ConnectionEvents, ConnectionState } from "./connection.js";
import { credentialsFailed, Dialler, type DiallerHost } from "./dialler.js";
import type { ConnectSettings } from "./options.js";
import type { Platform } from "./platform.js";

/** Opens a connection with checked settings; `connect` of each platform calls this. */
export function openConnection(url: string, settings: ConnectSettings, platform: Platform): Connection {
  return new Connector(url, settings, platform);
}

/** Holds a {@link Peer} and the links that its {@link Dialler} finds together: greets, comes back, and knows when to stop. */
class Connector implements Connection, PeerEvents, DiallerHost {
  readonly unary: Connection["unary"];
  readonly stream: Connection["stream"];
  readonly #url: string;
  readonly #settings: ConnectSettings;
  readonly #platform: Platform;
  readonly #timers: Timers;
  readonly #retrier: Retrier;
  readonly #peer: Peer;
  readonly #driver: Driver;
  readonly #dialler: Dialler;
  readonly #events = new Emitter<ConnectionEvents>();
  readonly #retry = { dueAt: 0, heapIndex: -1, expire: () => this.#retryNow() };
  readonly #stopWatching: (() => void) | undefined;

  #state: ConnectionState = "connecting";
  #attempts = 0;
  #openedAt = 0;
  #downSince = -1;
  #lostNow = false;
  #waitsForPage = false;
  /** The server closed with 4401, and no link was open since. */
  #unauthenticated = false;
  /** Which link asks for fresh credentials, while they are looked for. */
  #refreshing: Link | undefined;
  #goAway: GoAwayFrame | undefined;
  #lastFailure = "the first attempt is under way";
  #closedError: RpcError | undefined;
  #linkGone: (() => void) | undefined;

  constructor(url: string, settings: ConnectSettings, platform: Platform) {
    this.#url = url;
    this.#settings = settings;
    this.#platform = platform;
    this.#timers = new Timers(platform.clock, platform.schedule);
    const after = (delayMs: number, task: () => void) => this.#timers.after(delayMs, task);
    this.#retrier = new Retrier(settings.retry, { clock: platform.clock, random: platform.random, after });
    this.#peer = createPeer(settings, platform, this.#retrier, this);
    this.#driver = new Driver(this.#peer, this.#timers, platform.defer);
    this.#dialler = new Dialler(url, settings, platform, this.#timers, this.#driver, this);
    const { transport } = this.#peer;
    this.unary = transport.unary;
    this.stream = transport.stream;
    this.#stopWatching = platform.onMayConnect?.(() => {
      const waits = this.#waitsForPage || this.#retry.heapIndex >= 0;
      if (waits && this.#dialler.mayConnect) this.#retryNow();
    });
    this.#dialler.connect();
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get sessionId(): string {
    return hex(this.#peer.session.id);
  }

  get rtt(): number | undefined {
    const { rttMs } = this.#peer.session;
    return rttMs < 0 ? undefined : rttMs;
  }

  get linkKind(): LinkKind | undefined {
    return this.#driver.link?.kind;
  }

  get callsInFlight(): number {
    return this.#peer.calls.size + this.#retrier.waiting;
  }

  on<Name extends keyof ConnectionEvents>(
    name: Name,
    listener: (event: ConnectionEvents[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener);
  }

  ready(): Promise<void> {
    if (this.#state === "open") return Promise.resolve();
    if (this.#closedError !== undefined) return Promise.reject(this.#closedError);
    if (this.#state === "idle") this.#retryNow();
    return new Promise((resolve, reject) => {
      const off = this.on("state", ({ state }) => {
        if (state !== "open" && state !== "closed") return;
        off();
        if (state === "open") resolve();
        else reject(this.#closedError);
      });
    });
  }

  close(): Promise<void> {
    if (this.#state === "closed") return Promise.resolve();
    const { link } = this.#driver;
    const gone = new Promise<void>((resolve) => {
      this.#linkGone = resolve;
    });
    this.#finish(
      CloseCode.normal,
      "closed by the client",
      new RpcError("the connection was closed", Code.Canceled),
    );
    if (link === undefined) return Promise.resolve();
    return gone;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // ---- what the dialler says ---------------------------------------------------------------------------------

  /** A link is there: greets over it. */
  onLink(link: Link, token: string): void {
    const old = this.#driver.link;
    const now = this.#timers.clock();
    if (old !== undefined) {
      this.#downSince = now;
      this.#peer.linkDown();
    }
    this.#driver.setLink(link);
    this.#peer.linkUp(now, token);
    this.#driver.watch();
    // The server lets go of it when the session goes on; this is for the case that it does not hear of that.
    old?.close(CloseCode.goingAway, "the session goes on over a WebSocket");
  }

  get isOverHttp(): boolean {
    return this.#state === "open" && this.linkKind !== "websocket";
  }

  onImpossible(error: unknown): void {
    const reason = `cannot connect: ${error instanceof Error ? error.message : String(error)}`;
    this.#finish(CloseCode.abnormal, reason, new RpcError(reason, Code.FailedPrecondition));
  }

  onGone(): void {
    if (this.#isClosed()) this.#linkGone?.();
  }

  /** The link is gone, or is to be taken for gone. */
  onClose(code: number, reason: string): void {
    const wasOpen = this.#peer.session.state === "open";
    const broke = code === CloseCode.abnormal || code === CloseCode.noStatus;
    if (!wasOpen && broke && this.linkKind === "websocket") this.#dialler.detour?.broke();
    this.#driver.setLink(undefined);
    this.#peer.linkDown();
    if (wasOpen) {
      this.#downSince = this.#timers.clock();
      if (this.#downSince - this.#openedAt >= this.#settings.reconnect.stableAfterMs) this.#attempts = 0;
    }
    this.onFailure(code, reason);
  }

  /** An attempt failed or a link broke: decides what comes next. */
  onFailure(code: number, reason: string): void {
    this.#dialler.abandon();
    this.#lastFailure = `${reason === "" ? "the link broke" : reason} (${code}) at ${this.#url}`;
    const after = afterClose(code);
    const rejected = after === "reauthenticate";
    if (after === "stop" || (rejected && (this.#unauthenticated || !this.#settings.renewable))) {
      this.#finish(code, reason, stopError(code, reason));
      return;
    }
    if (rejected) this.#unauthenticated = true;
    if (after === "wait" && this.callsInFlight === 0) {
      this.#setState("idle");
      return;
    }
    const atOnce = after === "atOnce";
    if (!atOnce) this.#attempts++;
    const { reconnect } = this.#settings;
    if (this.#attempts > reconnect.maxAttempts) {
      const error = new RpcError(
        `gave up after ${reconnect.maxAttempts} attempts: ${this.#lastFailure}`,
        Code.Unavailable,
      );
      this.#finish(code, error.rawMessage, error);
      return;
    }
    if (this.#state !== "connecting") this.#setState("reconnecting");
    const goAway = this.#goAway;
    this.#goAway = undefined;
    const delayMs =
      goAway === undefined
        ? atOnce
          ? 0
          : backoffDelay(this.#attempts, reconnect, this.#platform.random)
        : this.#platform.random() * goAway.afterMs;
    this.#events.emit("reconnecting", { attempt: Math.max(1, this.#attempts), delayMs, code, reason });
    if (this.#isClosed()) return;
    // Not by a timer, which a hidden page has a second later.
    if (atOnce && delayMs === 0) return this.#platform.defer(() => this.#retryNow());
    this.#timers.atLatest(this.#retry, this.#timers.clock() + delayMs);
  }

  #retryNow(): void {
    this.#timers.delete(this.#retry);
    if (this.#isClosed()) return;
    this.#waitsForPage = !this.#dialler.mayConnect;
    if (!this.#waitsForPage) this.#dialler.connect();
  }

  // ---- what the peer says ------------------------------------------------------------------------------------

  onLost(): void {
    this.#lostNow = true;
  }

  onWake(full: boolean): void {
    this.#driver.wake(full);
  }

  onDeadline(): void {
    this.#driver.watch();
    if (this.#state === "idle") this.#retryNow();
  }

  whyNotOpen(): string {
    return this.#lastFailure;
  }

  onOpen(opened: SessionOpened): void {
    const now = this.#timers.clock();
    const attempts = this.#attempts;
    const downMs = this.#downSince < 0 ? 0 : now - this.#downSince;
    const lost = this.#lostNow;
    this.#lostNow = false;
    this.#openedAt = now;
    this.#downSince = -1;
    this.#unauthenticated = false;
    this.#peer.calls.outgoing.hold = false;
    this.#dialler.opened(this.linkKind !== "websocket");
    this.#setState("open");
    if (opened.resumed) this.#events.emit("resumed", { resent: opened.resent, attempts, downMs });
    else if (lost) this.#events.emit("lost", { attempts, downMs });
  }

  onGoAway(frame: GoAwayFrame): void {
    if (!frame.reconnect) return;
    this.#goAway = frame;
    this.#peer.calls.outgoing.hold = true;
    this.#setState("draining");
  }

  /** The server asks for fresh credentials. Without an answer it closes with 4401, which says what to do next. */
  onRefresh({ withinMs }: RefreshFrame): void {
    const { link } = this.#driver;
    if (withinMs === 0 || this.#refreshing === link) return;
    this.#refreshing = link;
    const done = () => {
      if (this.#refreshing === link) this.#refreshing = undefined;
    };
    this.#dialler.credentials().then(
      (token) => {
        done();
        if (this.#driver.link === link) this.#peer.session.refresh(token, 0);
      },
      (error: unknown) => {
        done();
        this.#lastFailure = credentialsFailed(error);
      },
    );
  }

  onCut(code: number, reason: string, sessionOver: boolean): void {
    const { link } = this.#driver;
    if (code === CloseCode.handshakeTimeout && link?.kind === "websocket") this.#dialler.detour?.mute();
    // The link counts as gone now: a silent one would keep us waiting for its closing handshake.
    this.onClose(code, reason);
    if (sessionOver && this.#peer.session.state === "detached") this.#peer.session.forget();
    link?.close(code, reason);
  }

  // ---- the end -----------------------------------------------------------------------------------------------

  #finish(code: number, reason: string, error: RpcError): void {
    if (this.#isClosed()) return;
    const { link } = this.#driver;
    this.#dialler.close();
    this.#stopWatching?.();
    this.#closedError = error;
    this.#driver.dispose();
    this.#timers.delete(this.#retry);
    this.#peer.close(error.rawMessage, error.code);
    this.#retrier.close(error.rawMessage, error.code);
    this.#setState("closed");
    this.#events.emit("closed", { code, reason });
    link?.close(CloseCode.normal, reason);
  }

  #isClosed(): boolean {
    return this.#state === "closed";
  }

  #setState(state: ConnectionState): void {
    const previous = this.#state;
    if (previous === state) return;
    this.#state = state;
    this.#events.emit("state", { state, previous });
  }
}

function stopError(code: number, reason: string): RpcError {
  const text = `the server closed the connection: ${reason === "" ? "no reason given" : reason} (${code})`;
  const isDenied = code === CloseCode.permissionDenied || code === CloseCode.policy;
  const because = isDenied ? Code.PermissionDenied : Code.FailedPrecondition;
  return new RpcError(text, code === CloseCode.unauthenticated ? Code.Unauthenticated : because);
}
