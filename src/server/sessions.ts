import { randomBytes, randomFillSync } from "node:crypto";
import type { Clock } from "../base/clock.js";
import { Code } from "../base/code.js";
import { hex, sameBytes } from "../base/hex.js";
import { Emitter } from "../driver/emitter.js";
import { pooled } from "../driver/entropy.js";
import type { Link } from "../driver/link.js";
import type { Timers } from "../driver/timers.js";
import { Guard } from "../idempotency/guard.js";
import { uuidV7 } from "../idempotency/key.js";
import { NO_RETRIES } from "../retry/options.js";
import { Retrier } from "../retry/retrier.js";
import type { Identity } from "../rpc/context.js";
import { PacketEncoder } from "../wire/encode.js";
import { type HelloFrame, HelloMode } from "../wire/frame.js";
import type { EndedBy, EvictionLimit, ServerEvents } from "./events.js";
import type { ServerSettings } from "./options.js";
import { LiveSession, type ServerSession, type SessionOwner } from "./session.js";

const randomFill = pooled((into) => randomFillSync(into));

/** 128 bits, as `Welcome.session` and `Welcome.epoch` demand. */
const ID_BYTES = 16;

/** All sessions of a server, with and without a link. */
export class Sessions implements SessionOwner, Iterable<ServerSession> {
  readonly settings: ServerSettings;
  readonly timers: Timers;
  readonly encoder: PacketEncoder = new PacketEncoder((bytes) => Buffer.allocUnsafeSlow(bytes));
  /** Names this run of the server: a session of another run is never taken for one of this. */
  readonly epoch: Uint8Array = new Uint8Array(randomBytes(ID_BYTES));
  readonly retrier: Retrier;
  readonly newKey: () => string;
  readonly guard: Guard | undefined;
  readonly #all = new Map<string, LiveSession>();
  readonly events: Emitter<ServerEvents> = new Emitter();
  /** Sessions without a link, the longest detached first, with what they hold since when. */
  readonly #detached = new Map<LiveSession, { readonly since: number; readonly bytes: number }>();
  #detachedBytes = 0;

  /** @param wallClock Milliseconds since the epoch. */
  constructor(settings: ServerSettings, timers: Timers, wallClock: Clock = Date.now) {
    this.settings = settings;
    this.timers = timers;
    this.newKey = () => uuidV7(wallClock(), randomFill);
    const after = (delayMs: number, task: () => void) => timers.after(delayMs, task);
    this.retrier = new Retrier(NO_RETRIES, { clock: timers.clock, random: Math.random, after });
    const { idempotencyStore, logger } = settings;
    if (idempotencyStore !== undefined) {
      const onError = (error: unknown, where: string) => logger.error(`hawser: ${where} failed:`, error);
      this.guard = new Guard(idempotencyStore, { wallClock, after, onError });
    }
  }

  /** Number of sessions, with and without a link. */
  get size(): number {
    return this.#all.size;
  }

  [Symbol.iterator](): IterableIterator<LiveSession> {
    return this.#all.values();
  }

  /**
   * The session that a checked Hello belongs to: the one it resumes, or a new one. The link is attached to it. `undefined`
   * for a Hello that comes late: its client has another link by now.
   */
  enter(hello: HelloFrame, identity: Identity | undefined, link: Link): LiveSession | undefined {
    const known = hello.mode === HelloMode.resume ? this.#find(hello) : undefined;
    if (known?.isOvertaken(hello, identity) === true) return undefined;
    const resumed = known?.canResume(hello, identity) === true;
    const session = resumed && known !== undefined ? known : this.#create(identity);
    const since = this.#forget(session);
    session.attach(link, hello, resumed);
    if (!resumed) this.events.emit("opened", { session });
    else {
      const downMs = since === undefined ? 0 : this.timers.clock() - since;
      this.events.emit("resumed", { session, downMs });
    }
    return session;
  }

  /** Ends all sessions, with this code and reason on their links, and asks handlers to stop. */
  close(code: number, reason: string): void {
    this.guard?.close(reason);
    for (const session of [...this.#all.values()]) session.close(code, reason);
  }

  onDetached(session: LiveSession, code: number, reason: string): void {
    const bytes = session.heldBytes;
    this.#detached.set(session, { since: this.timers.clock(), bytes });
    this.#detachedBytes += bytes;
    this.events.emit("detached", { session, code, reason });
    const { maxDetachedSessions, maxDetachedBytes } = this.settings;
    for (const oldest of this.#detached.keys()) {
      if (this.#detached.size > maxDetachedSessions) this.#evict(oldest, "maxDetachedSessions");
      else if (this.#detachedBytes > maxDetachedBytes) this.#evict(oldest, "maxDetachedBytes");
      else break;
    }
  }

  onExpired(session: LiveSession): void {
    this.#evict(session, "graceMs");
  }

  onEnded(session: LiveSession, by: EndedBy, message: string): void {
    this.#all.delete(session.id);
    this.#forget(session);
    this.events.emit("ended", { session, by, message });
  }

  #evict(session: LiveSession, limit: EvictionLimit): void {
    const { since, bytes } = this.#detached.get(session) ?? { since: this.timers.clock(), bytes: 0 };
    this.events.emit("evicted", { session, limit, detachedMs: this.timers.clock() - since, bytes });
    const message =
      limit === "graceMs"
        ? "the client did not come back within the grace time"
        : `too many sessions wait for their clients (${limit})`;
    session.end("eviction", message, Code.Unavailable);
  }

  /** A session no longer waits for a link. Since when it did. */
  #forget(session: LiveSession): number | undefined {
    const detached = this.#detached.get(session);
    if (detached === undefined) return undefined;
    this.#detached.delete(session);
    this.#detachedBytes -= detached.bytes;
    return detached.since;
  }

  #find(hello: HelloFrame): LiveSession | undefined {
    return sameBytes(hello.epoch, this.epoch) ? this.#all.get(hex(hello.session)) : undefined;
  }

  #create(identity: Identity | undefined): LiveSession {
    const session = new LiveSession(this, new Uint8Array(randomBytes(ID_BYTES)), identity);
    this.#all.set(session.id, session);
    return session;
  }
}
