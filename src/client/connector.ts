import { afterClose, CloseCode } from "../base/close.js";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import { hex } from "../base/hex.js";
import { Driver } from "../driver/driver.js";
import { Emitter } from "../driver/emitter.js";
import {
  BEARER_SUBPROTOCOL,
  type Link,
  type LinkEvents,
  type LinkKind,
  SUBPROTOCOL,
} from "../driver/link.js";
import { type LinkOwner, ObservedLink } from "../driver/observed-link.js";
import { Timers } from "../driver/timers.js";
import { uuidV7 } from "../idempotency/key.js";
import { Retrier } from "../retry/retrier.js";
import { createTransport } from "../retry/transport.js";
import { createAnswerer } from "../rpc/answer.js";
import { Peer } from "../rpc/peer.js";
import type { SessionOpened } from "../session/host.js";
import { Pace } from "../session/pace.js";
import { PacketEncoder } from "../wire/encode.js";
import type { GoAwayFrame, RefreshFrame } from "../wire/frame.js";
import { backoffDelay } from "./backoff.js";
import type { Connection, ConnectionEvents, ConnectionState } from "./connection.js";
import { Detour, worst } from "./detour.js";
import type { ConnectSettings } from "./options.js";
import type { Dial, DialFailure, DialRequest, Platform } from "./platform.js";
import { Proof } from "./proof.js";

/** Name and version for the server's logs. */
const AGENT = "hawser-js/0.1";

/** All connections of a process are read and written by one event loop. */
const pace = new Pace();

/** Opens a connection with checked settings; `connect` of each platform calls this. */
export function openConnection(url: string, settings: ConnectSettings, platform: Platform): Connection {
  return new Connector(url, settings, platform);
}

/** Dials, greets, reconnects: everything between a {@link Peer} and the platform's sockets. */
class Connector implements Connection {
  readonly unary: Connection["unary"];
  readonly stream: Connection["stream"];
  readonly #url: string;
  readonly #settings: ConnectSettings;
  readonly #platform: Platform;
  readonly #timers: Timers;
  readonly #retrier: Retrier;
  readonly #peer: Peer;
  readonly #driver: Driver;
  readonly #events = new Emitter<ConnectionEvents>();
  readonly #dialLimit = { dueAt: 0, heapIndex: -1, expire: () => this.#dialTooLong() };
  readonly #probe = { dueAt: 0, heapIndex: -1, expire: () => this.#tryWebSocket() };
  readonly #retry = { dueAt: 0, heapIndex: -1, expire: () => this.#retryNow() };
  readonly #stopWatching: (() => void) | undefined;

  #state: ConnectionState = "connecting";
  #attempt: Attempt | undefined;
  /** Where HTTP may take the place of WebSockets. */
  readonly #detour: Detour | undefined;
  /** A WebSocket that is tried beside a link over HTTP. */
  #probing: Probe | undefined;
  /** Numbers the attempts, so that what an abandoned one still says is not heard. */
  #generation = 0;
  #attempts = 0;
  #openedAt = 0;
  #downSince = -1;
  #lostNow = false;
  #waitsForPage = false;
  /** The server closed with 4401, and no link was open since. */
  #unauthenticated = false;
  /** The attempt whose link asks for fresh credentials, while they are looked for; -1: none does. */
  #refreshing = -1;
  #goAway: GoAwayFrame | undefined;
  #lastFailure = "the first attempt is under way";
  #closedError: RpcError | undefined;
  #linkGone: (() => void) | undefined;

  constructor(url: string, settings: ConnectSettings, platform: Platform) {
    this.#url = url;
    this.#settings = settings;
    this.#platform = platform;
    this.#timers = new Timers(platform.clock, platform.schedule);
    if (settings.fallback !== undefined && platform.dialHttp !== undefined)
      this.#detour = new Detour(settings.fallback.retryWebSocketMs);
    const after = (delayMs: number, task: () => void) => this.#timers.after(delayMs, task);
    this.#retrier = new Retrier(settings.retry, { clock: platform.clock, random: platform.random, after });
    const newKey = () => uuidV7(platform.wallClock(), platform.randomBytes);
    this.#peer = new Peer({
      role: "client",
      settings: settings.session,
      encoder: new PacketEncoder(platform.allocate),
      calls: {
        role: "client",
        clock: platform.clock,
        limits: settings.session.limits,
        maxWaitingCalls: settings.maxWaitingCalls,
        maxWaitMs: settings.maxWaitMs,
        outboxWaitMs: settings.session.outboxWaitMs,
        slices: platform.slices,
        pace,
        answerer: createAnswerer({
          routes: settings.routes,
          interceptors: settings.handlerInterceptors,
          onHandlerError: settings.onHandlerError,
          // Keys are for what servers do.
          guard: undefined,
          observer: settings.observer,
        }),
      },
      createTransport: (calls) =>
        createTransport(
          { calls, retrier: this.#retrier, newKey, observer: settings.observer },
          settings.interceptors,
        ),
      agent: AGENT,
      events: {
        whyNotOpen: () => this.#lastFailure,
        onOpen: (opened) => this.#onOpen(opened),
        onLost: () => {
          this.#lostNow = true;
        },
        onGoAway: (frame) => this.#onGoAway(frame),
        onCut: (code, reason, sessionOver) => this.#onCut(code, reason, sessionOver),
        onWake: (full) => this.#driver.wake(full),
        onRefresh: (frame) => this.#onRefresh(frame),
        onDeadline: () => {
          this.#driver.watch();
          if (this.#state === "idle") this.#retryNow();
        },
      },
    });
    this.#driver = new Driver(this.#peer, this.#timers, platform.defer);
    const { transport } = this.#peer;
    this.unary = transport.unary;
    this.stream = transport.stream;
    this.#stopWatching = platform.onMayConnect?.(() => {
      const waits = this.#waitsForPage || this.#retry.heapIndex >= 0;
      if (waits && this.#mayConnect()) this.#retryNow();
    });
    this.#connect();
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

  // ---- attempts ----------------------------------------------------------------------------------------------

  #connect(): void {
    const generation = ++this.#generation;
    const current = () => this.#generation === generation && this.#state !== "closed";
    this.#limitDial();
    this.#credentials().then(
      (token) => {
        if (current()) this.#dial({ token, current, overHttp: this.#detour?.httpFirst === true });
      },
      (error: unknown) => {
        if (current()) {
          this.#timers.delete(this.#dialLimit);
          this.#failed(
            CloseCode.abnormal,
            `credentials() failed: ${error instanceof Error ? error.message : String(error)}`,
          );
        }
      },
    );
  }

  readonly #linkOwner: LinkOwner = ((connector: Connector) => ({
    get sessionId() {
      return connector.sessionId === "" ? undefined : connector.sessionId;
    },
    identity: undefined,
    get rtt() {
      return connector.rtt;
    },
  }))(this);

  /** Called inside a promise so that what it throws becomes a rejection. */
  #credentials(): Promise<string> {
    return new Promise((resolve) => {
      resolve(this.#settings.credentials());
    });
  }

  #dial(attempt: Attempt): void {
    this.#attempt = attempt;
    const { token, current } = attempt;
    attempt.dial = this.#open(
      attempt,
      (link) => {
        if (!current()) return link.close(CloseCode.normal, "closed by the client");
        this.#attempt = undefined;
        this.#timers.delete(this.#dialLimit);
        this.#take(link, token);
      },
      (failure) => {
        if (current()) this.#dialFailed(attempt, failure, false);
      },
    );
  }

  /** A link is there: greets over it. */
  #take(link: Link, token: string): void {
    this.#driver.setLink(link);
    this.#peer.linkUp(this.#timers.clock(), token);
    this.#driver.watch();
  }

  /** An attempt found no link; the other way may lead to one. */
  #dialFailed(
    { token, current, overHttp, before }: Attempt,
    failure: DialFailure,
    tookTooLong: boolean,
  ): void {
    this.#attempt = undefined;
    this.#timers.delete(this.#dialLimit);
    const detour = this.#detour;
    if (overHttp) {
      detour?.httpFailed();
      const { code, reason } = before === undefined ? failure : worst(before, failure);
      this.#failed(code, reason);
    } else if (detour?.failed(failure, tookTooLong) === true) {
      this.#limitDial();
      this.#dial({ token, current, overHttp: true, before: failure });
    } else this.#failed(failure.code, failure.reason);
  }

  /** Dials a link whose events are heard as long as it is the current one. */
  #open(
    { token, current, overHttp, proof }: Attempt,
    onOpen: (link: Link) => void,
    onFailure: (failure: DialFailure) => void,
  ): Dial | undefined {
    let down = false;
    const events: LinkEvents = {
      onMessage: (bytes) => {
        if (current()) this.#driver.receive(bytes);
        else if (proof?.proved === false) proof.onMessage(bytes);
      },
      onText: () => {
        if (current()) this.#onCut(CloseCode.textMessage, "the server sent a text message", false);
      },
      onDrain: () => {
        if (current()) this.#driver.flush();
      },
      onClose: (code, reason) => {
        if (down) return;
        down = true;
        if (current()) this.#linkDown(code, reason);
        else if (proof?.proved === false) proof.onClose();
        else if (this.#state === "closed") this.#linkGone?.();
      },
    };
    const { observer } = this.#settings;
    const watch =
      observer === undefined
        ? undefined
        : new ObservedLink("client", this.#url, observer, this.#timers.clock);
    const dial = overHttp ? this.#platform.dialHttp : this.#platform.dial;
    try {
      return dial?.(
        this.#url,
        overHttp ? httpRequest(this.#settings, token) : dialRequest(this.#settings, token),
        watch?.events(events) ?? events,
        (opened) => {
          const link = watch?.link(opened) ?? opened;
          if (watch !== undefined) {
            watch.owner = this.#linkOwner;
            watch.opened();
          }
          onOpen(link);
        },
        onFailure,
      );
    } catch (error) {
      // The platform does not take this URL or these headers; it never will.
      const reason = `cannot connect: ${error instanceof Error ? error.message : String(error)}`;
      this.#finish(CloseCode.abnormal, reason, new RpcError(reason, Code.FailedPrecondition));
      return undefined;
    }
  }

  #dialTooLong(): void {
    const attempt = this.#attempt;
    const within = `within ${this.#settings.session.handshakeTimeoutMs} ms`;
    const code = CloseCode.handshakeTimeout;
    if (attempt === undefined) return this.#failed(code, `credentials() gave nothing ${within}`);
    attempt.dial?.abort();
    const reason = `no ${attempt.overHttp ? "answer over HTTP" : "WebSocket"} ${within}`;
    this.#dialFailed(attempt, { code, reason }, true);
  }

  #limitDial(): void {
    const { handshakeTimeoutMs } = this.#settings.session;
    this.#timers.atLatest(this.#dialLimit, this.#timers.clock() + handshakeTimeoutMs);
  }

  // ---- back from HTTP ----------------------------------------------------------------------------------------

  /** While the session is open over HTTP, tries a WebSocket beside it. */
  #tryWebSocket(): void {
    if (this.#probing !== undefined) {
      // It takes too long.
      this.#callOffProbe(true);
      return this.#planProbe();
    }
    if (this.#state !== "open" || this.#driver.link?.kind === "websocket") return;
    if (!this.#mayConnect()) return this.#planProbe();
    const probe: Probe = {};
    this.#probing = probe;
    // It is called off when the link is gone, or when this takes too long.
    const isWanted = () => this.#probing === probe && this.#state === "open";
    this.#timers.atLatest(this.#probe, this.#timers.clock() + this.#settings.session.handshakeTimeoutMs);
    this.#credentials().then(
      (token) => {
        if (isWanted()) this.#probeWith(token, probe, isWanted);
      },
      () => {
        if (!isWanted()) return;
        this.#callOffProbe();
        this.#planProbe();
      },
    );
  }

  #probeWith(token: string, probe: Probe, isWanted: () => boolean): void {
    let own = -1;
    const current = () => this.#generation === own && !this.#isClosed();
    const onFailed = () => {
      if (!isWanted()) return;
      this.#callOffProbe();
      this.#planProbe();
    };
    const take = (link: Link) => {
      if (!isWanted()) return link.close(CloseCode.normal, "no longer needed");
      this.#probing = undefined;
      this.#timers.delete(this.#probe);
      const old = this.#driver.link;
      own = ++this.#generation;
      this.#downSince = this.#timers.clock();
      this.#peer.linkDown();
      this.#take(link, token);
      // The server lets go of it when the session goes on; this is for the case that it does not hear of that.
      old?.close(CloseCode.goingAway, "the session goes on over a WebSocket");
    };
    // Until the server has answered, the link over HTTP goes on as if nothing was tried.
    const proof = new Proof(take, onFailed);
    probe.proof = proof;
    probe.dial = this.#open({ token, current, overHttp: false, proof }, (link) => proof.ask(link), onFailed);
  }

  #planProbe(): void {
    if (this.#detour !== undefined)
      this.#timers.atLatest(this.#probe, this.#timers.clock() + this.#detour.nextProbe());
  }

  #callOffProbe(tookTooLong = false): void {
    this.#timers.delete(this.#probe);
    const probe = this.#probing;
    this.#probing = undefined;
    if (!tookTooLong || probe?.proof?.giveUp() !== true) probe?.dial?.abort();
  }

  /** The link is gone, or is to be taken for gone. */
  #linkDown(code: number, reason: string): void {
    const wasOpen = this.#peer.session.state === "open";
    const broke = code === CloseCode.abnormal || code === CloseCode.noStatus;
    if (!wasOpen && broke && this.#driver.link?.kind === "websocket") this.#detour?.broke();
    this.#driver.setLink(undefined);
    this.#peer.linkDown();
    if (wasOpen) {
      this.#downSince = this.#timers.clock();
      if (this.#downSince - this.#openedAt >= this.#settings.reconnect.stableAfterMs) this.#attempts = 0;
    }
    this.#failed(code, reason);
  }

  /** An attempt failed or a link broke: decides what comes next. */
  #failed(code: number, reason: string): void {
    this.#generation++;
    this.#callOffProbe();
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
    this.#waitsForPage = !this.#mayConnect();
    if (!this.#waitsForPage) this.#connect();
  }

  #mayConnect(): boolean {
    return this.#platform.mayConnect?.() ?? true;
  }

  // ---- what the peer says ------------------------------------------------------------------------------------

  #onOpen(opened: SessionOpened): void {
    const now = this.#timers.clock();
    const attempts = this.#attempts;
    const downMs = this.#downSince < 0 ? 0 : now - this.#downSince;
    const lost = this.#lostNow;
    this.#lostNow = false;
    this.#openedAt = now;
    this.#downSince = -1;
    this.#unauthenticated = false;
    this.#peer.calls.outgoing.hold = false;
    if (this.#detour !== undefined) {
      const overHttp = this.#driver.link?.kind !== "websocket";
      this.#detour.opened(overHttp);
      if (overHttp) this.#planProbe();
      else this.#timers.delete(this.#probe);
    }
    this.#setState("open");
    if (opened.resumed) this.#events.emit("resumed", { resent: opened.resent, attempts, downMs });
    else if (lost) this.#events.emit("lost", { attempts, downMs });
  }

  #onGoAway(frame: GoAwayFrame): void {
    if (!frame.reconnect) return;
    this.#goAway = frame;
    this.#peer.calls.outgoing.hold = true;
    this.#setState("draining");
  }

  /** The server asks for fresh credentials. Without an answer it closes with 4401, which says what to do next. */
  #onRefresh({ withinMs }: RefreshFrame): void {
    const generation = this.#generation;
    if (withinMs === 0 || this.#refreshing === generation) return;
    this.#refreshing = generation;
    const done = () => {
      if (this.#refreshing === generation) this.#refreshing = -1;
    };
    this.#credentials().then(
      (token) => {
        done();
        if (this.#generation === generation) this.#peer.session.refresh(token, 0);
      },
      (error: unknown) => {
        done();
        this.#lastFailure = `credentials() failed: ${error instanceof Error ? error.message : String(error)}`;
      },
    );
  }

  #onCut(code: number, reason: string, sessionOver: boolean): void {
    const { link } = this.#driver;
    if (code === CloseCode.handshakeTimeout && link?.kind === "websocket") this.#detour?.mute();
    // The link counts as gone now: a silent one would keep us waiting for its closing handshake.
    this.#linkDown(code, reason);
    if (sessionOver && this.#peer.session.state === "detached") this.#peer.session.forget();
    link?.close(code, reason);
  }

  // ---- the end -----------------------------------------------------------------------------------------------

  #finish(code: number, reason: string, error: RpcError): void {
    if (this.#isClosed()) return;
    const { link } = this.#driver;
    this.#generation++;
    this.#attempt?.dial?.abort();
    this.#attempt = undefined;
    this.#callOffProbe();
    this.#stopWatching?.();
    this.#closedError = error;
    this.#driver.dispose();
    this.#timers.delete(this.#retry);
    this.#timers.delete(this.#dialLimit);
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

/** What an attempt to find a link goes by. */
interface Attempt {
  readonly token: string;
  /** Whether anybody still wants it. */
  readonly current: () => boolean;
  readonly overHttp: boolean;
  /** Why there is no WebSocket, where one was tried first. */
  readonly before?: DialFailure;
  /** Hears what a WebSocket says that is tried beside the link, until it takes its place. */
  readonly proof?: Proof;
  dial?: Dial | undefined;
}

/** A WebSocket that is tried beside a link; with a dial once there are credentials for it. */
interface Probe {
  dial?: Dial | undefined;
  proof?: Proof;
}

/** What requests carry that take the place of a WebSocket: a token in the one header that browsers allow for it. */
function httpRequest({ headers, credentialsIn }: ConnectSettings, token: string): DialRequest {
  const isInHeader = token !== "" && credentialsIn !== "hello";
  return {
    headers: isInHeader ? { ...headers, authorization: `Bearer ${token}` } : headers,
    subprotocols: [],
  };
}

/** What the upgrade request carries beside its URL. */
function dialRequest({ headers, credentialsIn }: ConnectSettings, token: string): DialRequest {
  if (token !== "" && credentialsIn === "header") {
    return { headers: { ...headers, authorization: `Bearer ${token}` }, subprotocols: [SUBPROTOCOL] };
  }
  if (token !== "" && credentialsIn === "subprotocol") {
    return { headers, subprotocols: [SUBPROTOCOL, BEARER_SUBPROTOCOL + base64url(token)] };
  }
  return { headers, subprotocols: [SUBPROTOCOL] };
}

/** Subprotocols are tokens of HTTP, which have no `=` and no `/` (RFC 6455 section 4.1). */
function base64url(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function stopError(code: number, reason: string): RpcError {
  const text = `the server closed the connection: ${reason === "" ? "no reason given" : reason} (${code})`;
  if (code === CloseCode.unauthenticated) return new RpcError(text, Code.Unauthenticated);
  if (code === CloseCode.permissionDenied || code === CloseCode.policy)
    return new RpcError(text, Code.PermissionDenied);
  return new RpcError(text, Code.FailedPrecondition);
}
