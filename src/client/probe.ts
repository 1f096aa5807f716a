import { CloseCode } from "../base/close.js";
import type { Link } from "../driver/link.js";
import type { Timers } from "../driver/timers.js";
import type { Attempt } from "./attempt.js";
import type { Detour } from "./detour.js";
import type { Dial } from "./platform.js";
import { Proof } from "./proof.js";

/** What a {@link Prober} works with. */
export interface ProberHost {
  /** Whether the session is open now, over HTTP. */
  readonly isOverHttp: boolean;
  /** Whether connecting makes sense now. */
  readonly mayConnect: boolean;
  credentials(): Promise<string>;
  /** Dials a link; what it says goes to the attempt's proof until it is taken. */
  open(attempt: Attempt, onOpen: (link: Link) => void, onFailure: () => void): Dial | undefined;
  /** From now on this link is the one that is heard. */
  take(attempt: Attempt, link: Link): void;
}

/** Finds the way back from HTTP: tries a WebSocket beside a link over HTTP, which goes on as if nothing was tried. */
export class Prober {
  readonly #host: ProberHost;
  readonly #detour: Detour;
  readonly #timers: Timers;
  readonly #timeoutMs: number;
  /** Stops the time until the next probe, or what is left for the one that is under way. */
  #stop: (() => void) | undefined;
  /** What is under way; with a dial once there are credentials for it. */
  #probe: Attempt | undefined;

  /** @param timeoutMs what a probe may take, in milliseconds */
  constructor(host: ProberHost, detour: Detour, timers: Timers, timeoutMs: number) {
    this.#host = host;
    this.#detour = detour;
    this.#timers = timers;
    this.#timeoutMs = timeoutMs;
  }

  /** Sets when a WebSocket is tried. */
  plan(): void {
    this.#in(this.#detour.nextProbe());
  }

  /** No WebSocket is tried, and one that is under way is given up. */
  callOff(): void {
    const probe = this.#probe;
    this.#settle();
    probe?.dial?.abort();
  }

  #expire(): void {
    const host = this.#host;
    const late = this.#probe;
    if (late !== undefined) {
      this.#settle();
      if (late.proof?.giveUp() !== true) late.dial?.abort();
      return this.plan();
    }
    if (!host.isOverHttp) return;
    if (!host.mayConnect) return this.plan();
    const probe: Attempt = { token: "", overHttp: false };
    this.#probe = probe;
    // It is called off when the link is gone, or when this takes too long.
    const isWanted = () => this.#probe === probe && host.isOverHttp;
    const onFailed = () => {
      if (!isWanted()) return;
      this.callOff();
      this.plan();
    };
    this.#in(this.#timeoutMs);
    host.credentials().then((token) => {
      if (!isWanted()) return;
      probe.token = token;
      const proof = new Proof((link) => {
        probe.proof = undefined;
        if (!isWanted()) return link.close(CloseCode.normal, "no longer needed");
        this.#settle();
        host.take(probe, link);
      }, onFailed);
      probe.proof = proof;
      probe.dial = host.open(probe, (link) => proof.ask(link), onFailed);
    }, onFailed);
  }

  /** No probe is under way any more. */
  #settle(): void {
    this.#probe = undefined;
    this.#stop?.();
  }

  #in(delayMs: number): void {
    this.#stop = this.#timers.after(delayMs, () => this.#expire());
  }
}
