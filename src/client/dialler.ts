import { CloseCode } from "../base/close.js";
import type { Driver } from "../driver/driver.js";
import type { Link, LinkEvents } from "../driver/link.js";
import { type LinkOwner, ObservedLink } from "../driver/observed-link.js";
import type { Timers } from "../driver/timers.js";
import type { PeerEvents } from "../rpc/peer.js";
import type { Attempt } from "./attempt.js";
import { Detour, worst } from "./detour.js";
import { dialRequest } from "./dial-request.js";
import type { ConnectSettings } from "./options.js";
import type { Dial, DialFailure, Platform } from "./platform.js";
import { Prober, type ProberHost } from "./probe.js";

/** Told what a {@link Dialler} finds, and what its link says: of all links, the one that was found last is heard. */
export interface DiallerHost extends LinkOwner, Pick<PeerEvents, "onCut"> {
  /** A link is there; it takes the place of the one before, if that is still there. */
  onLink(link: Link, token: string): void;
  /** An attempt found no link. */
  onFailure(code: number, reason: string): void;
  /** No attempt will ever find one. */
  onImpossible(error: unknown): void;
  /** The link is gone. */
  onClose(code: number, reason: string): void;
  /** A link that is no longer heard is gone. */
  onGone(): void;
  /** Whether the session is open now, over HTTP. */
  readonly isOverHttp: boolean;
}

/**
 * Finds links: asks for credentials and dials a WebSocket, or goes over HTTP where WebSockets are blocked, until its
 * {@link Prober} has found the way back. When to try again is its host's to say.
 */
export class Dialler implements ProberHost {
  /** Where HTTP may take the place of WebSockets. */
  readonly detour: Detour | undefined;
  readonly #prober: Prober | undefined;
  readonly #url: string;
  readonly #settings: ConnectSettings;
  readonly #platform: Platform;
  readonly #timers: Timers;
  readonly #driver: Driver;
  readonly #host: DiallerHost;
  readonly #limit = { dueAt: 0, heapIndex: -1, expire: () => this.#tookTooLong() };
  #attempt: Attempt | undefined;
  /** Numbers what is wanted, so that what an abandoned attempt or link still says is not heard. */
  #generation = 0;

  constructor(
    url: string,
    settings: ConnectSettings,
    platform: Platform,
    timers: Timers,
    driver: Driver,
    host: DiallerHost,
  ) {
    this.#url = url;
    this.#settings = settings;
    this.#platform = platform;
    this.#timers = timers;
    this.#driver = driver;
    this.#host = host;
    if (settings.fallback !== undefined && platform.dialHttp !== undefined) {
      this.detour = new Detour(settings.fallback.retryWebSocketMs);
      this.#prober = new Prober(this, this.detour, timers, settings.session.handshakeTimeoutMs);
    }
  }

  /** Begins an attempt: `onLink`, `onFailure` or `onImpossible` follows, unless it is abandoned. */
  connect(): void {
    const generation = ++this.#generation;
    this.#limitTime();
    this.credentials().then(
      (token) => {
        if (this.#generation === generation)
          this.#dial({ token, generation, overHttp: this.detour?.httpFirst === true });
      },
      (error: unknown) => {
        if (this.#generation !== generation) return;
        this.#settle();
        this.#host.onFailure(CloseCode.abnormal, credentialsFailed(error));
      },
    );
  }

  /** Asks for credentials, inside a promise so that what that throws becomes a rejection. */
  credentials(): Promise<string> {
    return new Promise((resolve) => {
      resolve(this.#settings.credentials());
    });
  }

  /** Whether connecting makes sense now. */
  get mayConnect(): boolean {
    return this.#platform.mayConnect?.() ?? true;
  }

  /** A session is open over a link that was found. */
  opened(overHttp: boolean): void {
    this.detour?.opened(overHttp);
    if (overHttp) this.#prober?.plan();
    else this.#prober?.callOff();
  }

  /** Nothing is heard any more of the link or the attempt that there is. */
  abandon(): void {
    this.#generation++;
    this.#prober?.callOff();
  }

  /** No link is wanted any more. */
  close(): void {
    this.abandon();
    this.#attempt?.dial?.abort();
    this.#settle();
  }

  // ---- attempts ----------------------------------------------------------------------------------------------

  #dial(attempt: Attempt): void {
    this.#attempt = attempt;
    attempt.dial = this.open(
      attempt,
      (link) => {
        if (!this.#isHeard(attempt)) return link.close(CloseCode.normal, "closed by the client");
        this.#settle();
        this.#host.onLink(link, attempt.token);
      },
      (failure) => {
        if (this.#isHeard(attempt)) this.#failed(attempt, failure, false);
      },
    );
  }

  /** An attempt found no link; the other way may lead to one. */
  #failed(attempt: Attempt, failure: DialFailure, tookTooLong: boolean): void {
    const { detour } = this;
    const { before } = attempt;
    this.#settle();
    if (attempt.overHttp) {
      detour?.httpFailed();
      const { code, reason } = before === undefined ? failure : worst(before, failure);
      this.#host.onFailure(code, reason);
    } else if (detour?.failed(failure, tookTooLong) === true) {
      this.#limitTime();
      const { token, generation } = attempt;
      this.#dial({ token, generation, overHttp: true, before: failure });
    } else this.#host.onFailure(failure.code, failure.reason);
  }

  #tookTooLong(): void {
    const attempt = this.#attempt;
    const within = `within ${this.#settings.session.handshakeTimeoutMs} ms`;
    const code = CloseCode.handshakeTimeout;
    if (attempt === undefined) return this.#host.onFailure(code, `credentials() gave nothing ${within}`);
    attempt.dial?.abort();
    const reason = `no ${attempt.overHttp ? "answer over HTTP" : "WebSocket"} ${within}`;
    this.#failed(attempt, { code, reason }, true);
  }

  #limitTime(): void {
    const { handshakeTimeoutMs } = this.#settings.session;
    this.#timers.atLatest(this.#limit, this.#timers.clock() + handshakeTimeoutMs);
  }

  /** No attempt is under way any more. */
  #settle(): void {
    this.#attempt = undefined;
    this.#timers.delete(this.#limit);
  }

  // ---- links -------------------------------------------------------------------------------------------------

  /** Dials a link whose events are heard as long as it is what is wanted. */
  open(
    attempt: Attempt,
    onOpen: (link: Link) => void,
    onFailure: (failure: DialFailure) => void,
  ): Dial | undefined {
    const host = this.#host;
    const { token, overHttp } = attempt;
    let down = false;
    const events: LinkEvents = {
      onMessage: (bytes) => {
        if (this.#isHeard(attempt)) this.#driver.receive(bytes);
        else attempt.proof?.onMessage(bytes);
      },
      onText: () => {
        if (this.#isHeard(attempt))
          host.onCut(CloseCode.textMessage, "the server sent a text message", false);
      },
      onDrain: () => {
        if (this.#isHeard(attempt)) this.#driver.flush();
      },
      onClose: (code, reason) => {
        if (down) return;
        down = true;
        if (this.#isHeard(attempt)) host.onClose(code, reason);
        else if (attempt.proof !== undefined) attempt.proof.onFailed();
        else host.onGone();
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
        dialRequest(this.#settings, token, overHttp),
        watch?.events(events) ?? events,
        (opened) => {
          const link = watch?.link(opened) ?? opened;
          if (watch !== undefined) {
            watch.owner = host;
            watch.opened();
          }
          onOpen(link);
        },
        onFailure,
      );
    } catch (error) {
      // The platform does not take this URL or these headers; it never will.
      host.onImpossible(error);
      return undefined;
    }
  }

  /** From now on the link of this attempt is the one that is heard. */
  take(attempt: Attempt, link: Link): void {
    attempt.generation = ++this.#generation;
    this.#host.onLink(link, attempt.token);
  }

  get isOverHttp(): boolean {
    return this.#host.isOverHttp;
  }

  #isHeard({ generation }: Attempt): boolean {
    return this.#generation === generation;
  }
}

/** What is said when `credentials` has thrown. */
export function credentialsFailed(error: unknown): string {
  return `credentials() failed: ${error instanceof Error ? error.message : String(error)}`;
}
