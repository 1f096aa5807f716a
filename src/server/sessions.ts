import { randomBytes, randomFillSync } from "node:crypto";
import type { Clock, Random } from "../base/clock.js";
import { CloseCode } from "../base/close.js";
import { Code } from "../base/code.js";
import { hex, sameBytes } from "../base/hex.js";
import type { SessionEvent } from "../base/observer.js";
import { Emitter } from "../driver/emitter.js";
import { pooled } from "../driver/entropy.js";
import type { BroadcastLink } from "../driver/link.js";
import type { Timers } from "../driver/timers.js";
import { Guard } from "../idempotency/guard.js";
import { uuidV7 } from "../idempotency/key.js";
import { NO_RETRIES } from "../retry/options.js";
import { Retrier } from "../retry/retrier.js";
import { createTransport } from "../retry/transport.js";
import { createAnswerer } from "../rpc/answer.js";
import type { CallsInit } from "../rpc/call-table.js";
import type { Calls } from "../rpc/calls.js";
import type { Identity } from "../rpc/context.js";
import type { Transport } from "../rpc/transport.js";
import type { OutboxBudget } from "../session/host.js";
import { Hub } from "../topics/hub.js";
import { PacketEncoder } from "../wire/encode.js";
import { type HelloFrame, HelloMode } from "../wire/frame.js";
import type { UpgradeInfo } from "./authentication.js";
import { CallRates } from "./call-rates.js";
import type { Cluster, Target } from "./cluster/cluster.js";
import type { EndedBy, EvictionLimit, ServerEvents } from "./events.js";
import type { ServerSettings } from "./options.js";
import { atEndOfTurn, LiveSession, type ServerSession } from "./session.js";
import type { SessionOwner } from "./session-owner.js";

const randomFill = pooled((into) => randomFillSync(into));

/** 128 bits, as `Welcome.session` and `Welcome.epoch` demand. */
const ID_BYTES = 16;
const IDS_AT_ONCE = 64;

/** Why a client that is authenticated gets no session. */
export interface EntryRefusal {
  /** Close code. */
  readonly refused: number;
  readonly reason: string;
}

/** All sessions of a server, with and without a link. */
export class Sessions implements SessionOwner, Iterable<ServerSession> {
  readonly settings: ServerSettings;
  readonly timers: Timers;
  readonly encoder: PacketEncoder = new PacketEncoder((bytes) => Buffer.allocUnsafeSlow(bytes));
  /** Names this run of the server: a session of another run is never taken for one of this. */
  readonly epoch: Uint8Array = new Uint8Array(randomBytes(ID_BYTES));
  readonly calls: CallsInit;
  readonly createTransport: (calls: Calls) => Transport;
  readonly guard: Guard | undefined;
  readonly wallClock: Clock;
  readonly random: Random;
  readonly outboxBudget: OutboxBudget;
  readonly rates: CallRates | undefined;
  readonly hub: Hub;
  /** What is done together with other nodes, where there are some. */
  cluster: Cluster | undefined;
  /** Sessions by the identity that they belong to. */
  readonly #byIdentity = new Map<string, Set<LiveSession>>();
  readonly #all = new Map<string, LiveSession>();
  readonly events: Emitter<ServerEvents> = new Emitter();
  /** Sessions without a link, the longest detached first, with what they hold since when. */
  readonly #detached = new Map<LiveSession, { readonly since: number; readonly bytes: number }>();
  #detachedBytes = 0;
  #ids = new Uint8Array(0);
  #idsUsed = 0;

  /** @param wallClock Milliseconds since the epoch. */
  constructor(
    settings: ServerSettings,
    timers: Timers,
    wallClock: Clock = Date.now,
    random: Random = Math.random,
  ) {
    this.settings = settings;
    this.timers = timers;
    this.wallClock = wallClock;
    this.random = random;
    this.outboxBudget = { used: 0, limit: settings.maxOutboxBytes };
    if (settings.callsPerSecond !== Number.POSITIVE_INFINITY)
      this.rates = new CallRates(settings.callsPerSecond, timers.clock, (identity) =>
        settings.observer?.limited?.({ limit: "callsPerSecond", identity }),
      );
    const newKey = () => uuidV7(wallClock(), randomFill);
    const after = (delayMs: number, task: () => void) => timers.after(delayMs, task);
    const { logger, idempotencyStore, observer } = settings;
    let guard: Guard | undefined;
    if (idempotencyStore !== undefined) {
      const onError = (error: unknown, where: string) => logger.error(`hawser: ${where} failed:`, error);
      guard = new Guard(idempotencyStore, { wallClock, after, onError });
    }
    this.guard = guard;
    this.hub = new Hub({
      broker: settings.broker,
      clock: timers.clock,
      wallClock,
      epoch: hex(this.epoch),
      after,
      defer: atEndOfTurn,
      sendElsewhere: (topic, to, payload) => this.cluster?.sendTo(topic, to, payload) ?? Promise.resolve(0),
      maxTopicsPerSession: settings.maxTopicsPerSession,
      messageBytes: settings.session.limits.messageBytes,
      onLimit: (limit, identity) => observer?.limited?.({ limit, identity }),
      onError: (error, where) => logger.error(`hawser: ${where} failed:`, error),
    });
    // A client that is lost is gone: nothing but what certainly did not run is attempted again.
    const retrier = new Retrier(NO_RETRIES, { clock: timers.clock, random, after });
    this.createTransport = (calls) =>
      createTransport({ calls, retrier, newKey, observer }, settings.callInterceptors);
    observer?.topics?.(this.hub.counters);
    this.calls = {
      role: "server",
      clock: timers.clock,
      limits: settings.session.limits,
      maxWaitingCalls: settings.session.limits.calls,
      maxWaitMs: settings.graceMs,
      outboxWaitMs: settings.session.outboxWaitMs,
      maxHeldBytes: settings.maxHeldBytes,
      answerer: createAnswerer({
        routes: settings.routes,
        interceptors: settings.interceptors,
        onHandlerError: (error, method) => logger.error(`hawser: the handler of ${method} failed:`, error),
        guard,
        observer,
        topics: this.hub,
      }),
    };
  }

  /** Number of sessions, with and without a link. */
  get size(): number {
    return this.#all.size;
  }

  [Symbol.iterator](): IterableIterator<LiveSession> {
    return this.#all.values();
  }

  /**
   * The session that a checked Hello belongs to: the one it resumes, or a new one. The link is attached to it. A Hello may
   * come late, when its client has another link by now; and an identity may have too many sessions.
   */
  enter(
    hello: HelloFrame,
    identity: Identity | undefined,
    link: BroadcastLink,
    info: UpgradeInfo,
  ): LiveSession | EntryRefusal {
    const known = hello.mode === HelloMode.resume ? this.#find(hello) : undefined;
    if (known?.isOvertaken(hello, identity) === true) {
      return { refused: CloseCode.replaced, reason: "the session has gone on over a later link already" };
    }
    const resumed = known?.canResume(hello, identity) === true;
    if (!resumed && identity !== undefined && !this.#hasRoomFor(identity)) {
      const { maxSessionsPerIdentity } = this.settings;
      const reason = `${maxSessionsPerIdentity} sessions of this identity are open (maxSessionsPerIdentity)`;
      this.settings.observer?.limited?.({ limit: "maxSessionsPerIdentity", identity: identity.id });
      return { refused: CloseCode.tooMany, reason };
    }
    const session = resumed && known !== undefined ? known : this.#create(identity);
    const since = this.#forget(session);
    session.attach(link, hello, resumed, identity, info);
    if (!resumed) {
      this.#report(session, "opened");
      this.cluster?.opened(session);
      this.events.emit("opened", { session });
    } else {
      const downMs = since === undefined ? 0 : this.timers.clock() - since;
      this.#report(session, "resumed", { downMs, hadLink: since === undefined });
      this.events.emit("resumed", { session, downMs });
    }
    return session;
  }

  /** A session by its id. */
  get(id: string): LiveSession | undefined {
    return this.#all.get(id);
  }

  /** A session of somebody, one with a link if there is one. */
  findFor(target: Target): LiveSession | undefined {
    if ("session" in target) return this.#all.get(target.session);
    const own = [...(this.#byIdentity.get(target.identity) ?? [])];
    return own.find(({ connected }) => connected) ?? own[0];
  }

  /** Whether there is the session that a Hello with RESUME wants to go on with. */
  has(hello: HelloFrame, identity: Identity | undefined): boolean {
    const known = this.#find(hello);
    return known !== undefined && (known.canResume(hello, identity) || known.isOvertaken(hello, identity));
  }

  /** Ends all sessions, with this code and reason on their links, and asks handlers to stop. */
  close(code: number, reason: string): void {
    this.guard?.close(reason);
    for (const session of [...this.#all.values()]) session.close(code, reason);
    this.hub.close();
  }

  onDetached(session: LiveSession, code: number, reason: string): void {
    const bytes = session.heldBytes;
    this.#detached.set(session, { since: this.timers.clock(), bytes });
    this.#detachedBytes += bytes;
    this.#report(session, "detached", { reason: `${code} ${reason}` });
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
    const since = this.#forget(session);
    this.rates?.delete(session);
    this.cluster?.ended(session);
    const { identity } = session;
    const own = identity === undefined ? undefined : this.#byIdentity.get(identity.id);
    if (own?.delete(session) === true && own.size === 0) this.#byIdentity.delete(identity?.id ?? "");
    this.#report(session, "ended", { reason: by, hadLink: since === undefined });
    this.events.emit("ended", { session, by, message });
  }

  #evict(session: LiveSession, limit: EvictionLimit): void {
    const { since, bytes } = this.#detached.get(session) ?? { since: this.timers.clock(), bytes: 0 };
    const detachedMs = this.timers.clock() - since;
    this.#report(session, "evicted", { reason: limit, downMs: detachedMs });
    if (limit !== "graceMs") this.settings.observer?.limited?.({ limit, identity: session.identity?.id });
    this.events.emit("evicted", { session, limit, detachedMs, bytes });
    const message =
      limit === "graceMs"
        ? "the client did not come back within the grace time"
        : `too many sessions are kept (${limit})`;
    session.end("eviction", message, Code.Unavailable);
  }

  #report(session: LiveSession, what: SessionEvent["what"], more?: Partial<SessionEvent>): void {
    const { observer } = this.settings;
    if (observer?.session === undefined) return;
    observer.session({ sessionId: session.id, identity: session.identity?.id, what, ...more });
  }

  /** A session no longer waits for a link. Since when it did. */
  #forget(session: LiveSession): number | undefined {
    const detached = this.#detached.get(session);
    if (detached === undefined) return undefined;
    this.#detached.delete(session);
    this.#detachedBytes -= detached.bytes;
    return detached.since;
  }

  /** Sees to it that an identity may have one more session. */
  #hasRoomFor(identity: Identity): boolean {
    const own = this.#byIdentity.get(identity.id);
    if (own === undefined || own.size < this.settings.maxSessionsPerIdentity) return true;
    for (const session of this.#detached.keys()) {
      if (!own.has(session)) continue;
      this.#evict(session, "maxSessionsPerIdentity");
      return true;
    }
    return false;
  }

  /** A part of a larger piece: memory of its own would take ten times the room. */
  #newId(): Uint8Array {
    if (this.#idsUsed === this.#ids.length) {
      this.#ids = new Uint8Array(IDS_AT_ONCE * ID_BYTES);
      this.#idsUsed = 0;
    }
    const id = this.#ids.subarray(this.#idsUsed, this.#idsUsed + ID_BYTES);
    this.#idsUsed += ID_BYTES;
    randomFillSync(id);
    return id;
  }

  #find(hello: HelloFrame): LiveSession | undefined {
    return sameBytes(hello.epoch, this.epoch) ? this.#all.get(hex(hello.session)) : undefined;
  }

  #create(identity: Identity | undefined): LiveSession {
    const session = new LiveSession(this, this.#newId(), identity);
    this.#all.set(session.id, session);
    if (identity !== undefined) {
      const own = this.#byIdentity.get(identity.id);
      if (own === undefined) this.#byIdentity.set(identity.id, new Set([session]));
      else own.add(session);
    }
    return session;
  }
}
