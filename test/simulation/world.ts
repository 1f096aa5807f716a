// Clients and servers of the package on a virtual network: everything real but sockets, clock and randomness.
import { CloseCode } from "../../src/base/close.js";
import type { Connection } from "../../src/client/connection.js";
import { openConnection } from "../../src/client/connector.js";
import { resolveConnectOptions } from "../../src/client/options.js";
import type { LinkEvents } from "../../src/driver/link.js";
import { Timers } from "../../src/driver/timers.js";
import type { IdempotencyStore, Router } from "../../src/index.js";
import { Greeting } from "../../src/server/greeting.js";
import { memoryIdempotencyStore } from "../../src/server/index.js";
import { resolveServerOptions } from "../../src/server/options.js";
import { Sessions } from "../../src/server/sessions.js";
import {
  createNetwork,
  createVirtualClock,
  type Network,
  seededRandom,
  type VirtualClock,
} from "../../src/testing/index.js";
import { Broken, inShort, Watcher } from "./invariants.js";
import { HEALING, type Incarnation, Model } from "./model.js";
import type { Action, Scenario } from "./scenario.js";
import { SharedStore } from "./store.js";

/** Settings of both sides: short times, and little room. */
const SESSION = {
  pingIntervalMs: 2_000,
  pingTimeoutMs: 1_000,
  ackTimeoutMs: 4_000,
  handshakeTimeoutMs: 3_000,
  outboxBytes: 256 * 1024,
  limits: { creditBytes: 64 * 1024, messageBytes: 128 * 1024 },
};

/** Every call must have its outcome within this time of the last action, in virtual milliseconds. */
const PATIENCE_MS = 900_000;

/** What a run came to. */
export interface Figures {
  readonly calls: number;
  readonly ok: number;
  readonly no: number;
  readonly unknown: number;
  readonly yes: number;
  readonly breaks: number;
  readonly crashes: number;
  readonly resumes: number;
  readonly losses: number;
  readonly virtualMs: number;
}

/** One server: a process after the other. */
interface Node {
  readonly name: string;
  process: Incarnation | undefined;
  sessions: Sessions | undefined;
  incarnations: number;
  wallOffset: number;
}

interface ClientSide extends Incarnation {
  readonly network: Network;
  readonly connection: Connection;
  node: Node | undefined;
  away: boolean;
  /** The next link dies this much later than it seems; -1: it does not. */
  nextDiesLate: number;
  clockOffset: number;
}

/** Runs one scenario to its end. */
export class World {
  readonly clock: VirtualClock = createVirtualClock();
  readonly trace: string[] | undefined;
  readonly #scenario: Scenario;
  readonly #random: () => number;
  readonly #model: Model;
  readonly #watcher: Watcher;
  readonly #nodes: Node[] = [];
  readonly #clients: ClientSide[] = [];
  readonly #shared = new SharedStore();
  readonly #names = new Map<string, string>();
  /** Calls without an outcome. */
  readonly #open = new Set<string>();
  #stores = 1;
  #made = 0;
  #breaks = 0;
  #crashes = 0;
  #resumes = 0;
  #losses = 0;
  #failure: unknown;

  /** @param traced whether to keep a trace, which takes time */
  constructor(scenario: Scenario, traced: boolean) {
    this.#scenario = scenario;
    this.trace = traced ? [] : undefined;
    this.#random = seededRandom(scenario.seed);
    this.#watcher = new Watcher(
      { outboxBytes: SESSION.outboxBytes, ...SESSION.limits },
      traced
        ? {
            sent: (session, role, frame) =>
              this.#log(this.#sessionName(session), `${role} sends ${inShort(frame)}`),
            handled: (session, role, frame) =>
              this.#log(this.#sessionName(session), `${role} handles ${inShort(frame)}`),
          }
        : undefined,
    );
    this.#model = new Model({
      after: (ms, task) => this.clock.schedule(task, ms),
      random: this.#random,
      log: (who, what) => this.#log(who, what),
      transactional: scenario.store === "shared",
    });
    for (let i = 0; i < scenario.nodes; i++) {
      const node: Node = {
        name: `server ${i}`,
        process: undefined,
        sessions: undefined,
        incarnations: 0,
        wallOffset: 0,
      };
      this.#nodes.push(node);
      this.#startNode(node);
    }
    for (let i = 0; i < scenario.clients; i++) this.#clients.push(this.#makeClient(i));
  }

  /**
   * @throws Broken when something that must hold does not
   */
  async run(): Promise<Figures> {
    try {
      const { actions } = this.#scenario;
      for (const action of actions) this.clock.schedule(() => this.#act(action), action.at);
      let acted = 0;
      this.clock.schedule(
        () => {
          acted = 1;
        },
        (actions.at(-1)?.at ?? 0) + 1,
      );
      await this.#until(() => acted === 1 && this.#open.size === 0, PATIENCE_MS);
      for (const account of this.#model.accounts.values()) {
        this.#model.check(account, this.#stores);
        this.#mustEndWell(account.tag);
      }
      const virtualMs = this.clock.now();
      await this.#finish();
      return this.#figures(virtualMs);
    } finally {
      this.#watcher.stop();
    }
  }

  async #until(holds: () => boolean, limitMs: number): Promise<void> {
    try {
      await this.clock.runUntil(() => {
        if (this.#failure !== undefined) throw this.#failure;
        this.#watcher.check();
        for (const account of this.#model.accounts.values()) this.#model.check(account, this.#stores);
        return holds();
      }, limitMs);
    } catch (error) {
      if (error instanceof Broken) throw error;
      const open = [...this.#model.accounts.values()].filter(({ outcomes }) => outcomes.length === 0);
      if (open.length === 0) throw error;
      return noOutcome(`no outcome after ${limitMs} ms: ${open.map(({ tag }) => tag).join(", ")}`);
    }
  }

  /** Which calls have no excuse. */
  #mustEndWell(tag: string): void {
    const account = this.#model.accounts.get(tag);
    const [outcome] = account?.outcomes ?? [];
    if (account === undefined || outcome === undefined || outcome.ok) return;
    const { timeoutMs, cancelMs, method } = account.action;
    if (timeoutMs > 0 || cancelMs > 0) return;
    const { nodes, graceMs, actions } = this.#scenario;
    const losesSessions =
      nodes > 1 || graceMs < 60_000 || actions.some(({ kind }) => ["crash", "sleep", "evict"].includes(kind));
    if (!losesSessions)
      throw new Broken(1, `${tag} failed, and its session was never lost: ${outcome.error}`);
    if (HEALING.includes(method))
      throw new Broken(2, `${tag} may be attempted again, and failed: ${outcome.error}`);
  }

  /** Closes everything, and looks whether anything is left. */
  async #finish(): Promise<void> {
    // What was cancelled is told to the other side, and handlers come to their end.
    await this.clock.advance(30_000);
    for (const { name, sessions } of this.#nodes) {
      for (const session of sessions ?? []) {
        if (session.connected && session.callsInFlight > 0) {
          throw new Broken(
            5,
            `${session.callsInFlight} calls are left at ${name}, and their callers have their outcomes`,
          );
        }
      }
    }
    for (const client of this.#clients) void client.connection.close();
    await this.clock.advance(1_000);
    for (const { sessions } of this.#nodes) sessions?.close(CloseCode.goingAway, "the simulation is over");
    // Timers of processes that have died run out.
    await this.clock.advance(600_000);
    this.#watcher.check();
    const left: string[] = [];
    for (const { name, connection, network } of this.#clients) {
      if (connection.callsInFlight > 0) left.push(`${connection.callsInFlight} calls of ${name}`);
      if (network.links > 0) left.push(`${network.links} links of ${name}`);
    }
    for (const { name, sessions } of this.#nodes) {
      if (sessions === undefined) continue;
      if (sessions.size > 0) left.push(`${sessions.size} sessions of ${name}`);
      if ((sessions.guard?.size ?? 0) > 0) left.push(`${sessions.guard?.size} keys under way at ${name}`);
    }
    if (this.clock.pending > 0) left.push(`${this.clock.pending} timers`);
    if (left.length > 0) throw new Broken(5, `left after the end: ${left.join(", ")}`);
  }

  #figures(virtualMs: number): Figures {
    const outcomes = [...this.#model.accounts.values()].map(({ outcomes: [outcome] }) => outcome);
    const failed = (executed: string) =>
      outcomes.filter((end) => end?.ok === false && end.error.executed === executed);
    return {
      calls: outcomes.length,
      ok: outcomes.filter((end) => end?.ok === true).length,
      no: failed("no").length,
      unknown: failed("unknown").length,
      yes: failed("yes").length,
      breaks: this.#breaks,
      crashes: this.#crashes,
      resumes: this.#resumes,
      losses: this.#losses,
      virtualMs,
    };
  }

  // ---- servers -------------------------------------------------------------------------------------------------

  #startNode(node: Node): void {
    const process: Incarnation = { name: `${node.name}${"'".repeat(node.incarnations++)}`, alive: true };
    let store: IdempotencyStore = this.#shared;
    if (this.#scenario.store === "memory") {
      store = memoryIdempotencyStore();
      if (node.incarnations > 1) this.#stores++;
    }
    const timers = new Timers(this.clock.now, (task, delayMs) =>
      this.clock.schedule(() => {
        if (process.alive) task();
      }, delayMs),
    );
    const settings = resolveServerOptions({
      ...SESSION,
      graceMs: this.#scenario.graceMs,
      idempotencyStore: store,
      routes: (router: Router) => this.#model.serve(router, process),
      logger: { warn: () => undefined, error: (message, error) => this.#onHandlerError(message, error) },
    });
    node.process = process;
    node.sessions = new Sessions(settings, timers, () => this.clock.now() + node.wallOffset);
    this.#log(process.name, "starts");
  }

  #onHandlerError(message: string, error: unknown): void {
    // A claim that was lost is the one thing that a handler of the model may fail with.
    if (error instanceof Error && error.name === "LostClaimError") return;
    this.#failure ??= error instanceof Broken ? error : new Broken(2, `${message} ${String(error)}`);
  }

  #crash(node: Node, downMs: number): void {
    const { process } = node;
    if (process === undefined) return;
    this.#crashes++;
    this.#log(process.name, `dies, for ${downMs} ms`);
    process.alive = false;
    node.process = undefined;
    node.sessions = undefined;
    for (const client of this.#clients) if (client.node === node) client.network.cut();
    this.clock.schedule(() => this.#startNode(node), downMs);
  }

  // ---- clients -------------------------------------------------------------------------------------------------

  #makeClient(index: number): ClientSide {
    const { latencyMs, jitterMs, bytesPerSecond } = this.#scenario;
    const network = createNetwork(this.clock, this.#random, { latencyMs, jitterMs, bytesPerSecond });
    const name = `client ${index}`;
    const side = {
      name,
      alive: true,
      network,
      node: undefined,
      away: false,
      nextDiesLate: -1,
      clockOffset: 0,
    } as Omit<ClientSide, "connection">;
    const connection = openConnection(
      "ws://simulation/rpc",
      resolveConnectOptions({
        ...SESSION,
        maxWaitMs: PATIENCE_MS,
        routes: (router: Router) => this.#model.serveEcho(router, side),
        reconnect: { initialDelayMs: 50, maxDelayMs: 1_000 },
        retry: {
          policy: { maxAttempts: 40, initialBackoffMs: this.#scenario.backoffMs, maxBackoffMs: 1_000 },
          throttling: false,
        },
        onHandlerError: (error, method) => this.#onHandlerError(method, error),
      }),
      {
        clock: () => this.clock.now() + side.clockOffset,
        wallClock: () => this.clock.now(),
        random: this.#random,
        randomBytes: (into) => {
          for (let i = 0; i < into.length; i++) into[i] = Math.floor(this.#random() * 256);
        },
        schedule: this.clock.schedule,
        allocate: (bytes) => new Uint8Array(bytes),
        defer: (task) => process.nextTick(task),
        dial: (_url, _headers, events, onOpen, onFailure) => {
          const cancel = this.clock.schedule(() => {
            const node = this.#nodes[Math.floor(this.#random() * this.#nodes.length)] as Node;
            const { process, sessions } = node;
            if (side.away || process === undefined || sessions === undefined) {
              return onFailure({ code: CloseCode.abnormal, reason: "nobody is there" });
            }
            this.#log(name, `has a link to ${process.name}`);
            side.node = node;
            if (side.nextDiesLate >= 0) {
              const delayMs = side.nextDiesLate;
              side.nextDiesLate = -1;
              this.clock.schedule(() => network.dieLate(delayMs), latencyMs / 2);
            }
            onOpen(
              network.link(events, (open) => {
                new Greeting(sessions, (own) => open(whileAlive(process, own)), {
                  headers: {},
                  url: "/rpc",
                  remoteAddress: undefined,
                });
              }),
            );
          }, latencyMs);
          return { abort: cancel };
        },
      },
    );
    connection.on("reconnecting", ({ code, reason }) => this.#log(name, `lost its link: ${code} ${reason}`));
    connection.on("resumed", ({ resent }) => {
      this.#resumes++;
      this.#log(
        name,
        `goes on with ${this.#sessionName(connection.sessionId)}, sends ${resent} packets again`,
      );
    });
    connection.on("lost", () => {
      this.#losses++;
      this.#log(name, "lost its session");
    });
    connection.on("closed", ({ code, reason }) => {
      if (reason !== "closed by the client") {
        this.#failure ??= new Broken(2, `${name} gave up for good: ${code} ${reason}`);
      }
    });
    return Object.assign(side, { connection });
  }

  // ---- actions -------------------------------------------------------------------------------------------------

  #act(action: Action): void {
    if (action.kind === "crash") {
      const node = this.#nodes[action.node];
      if (node !== undefined) this.#crash(node, action.downMs);
      return;
    }
    if (action.kind === "jump") {
      const node = this.#nodes[action.node];
      if (node !== undefined) node.wallOffset += action.ms;
      return;
    }
    const client = this.#clients[action.client];
    if (client === undefined) return;
    const { network } = client;
    if (action.kind === "call") return this.#call(action, client);
    this.#log(client.name, `suffers ${action.kind}`);
    this.#breaks++;
    switch (action.kind) {
      case "cut":
        return network.cut();
      case "cutAfter":
        return network.cutAfter(action.direction, action.bytes);
      case "stall":
        return network.stall(action.direction === "both" ? undefined : action.direction);
      case "dieLate":
        return network.dieLate(action.ms);
      case "lateHello":
        client.nextDiesLate = action.ms;
        return network.cut();
      case "slow":
        return network.set({ bytesPerSecond: action.bytesPerSecond });
      case "sleep":
        client.clockOffset += action.ms;
        return;
      case "evict": {
        const { connection, node } = client;
        const session = [...(node?.sessions ?? [])].find(({ id }) => id === connection.sessionId);
        session?.close(CloseCode.tryLater, "evicted");
        return;
      }
      case "away":
        client.away = true;
        network.cut();
        this.clock.schedule(() => {
          client.away = false;
        }, action.ms);
        return;
    }
  }

  #call(action: Extract<Action, { kind: "call" }>, client: ClientSide): void {
    let { method } = action;
    let transport: Parameters<Model["call"]>[2] = client.connection;
    let caller: Incarnation = client;
    if (method === "call") {
      // A server calls its client, if it has one.
      const { sessions, process } = client.node ?? {};
      const session = [...(sessions ?? [])].find(({ id }) => id === client.connection.sessionId);
      if (session === undefined || process === undefined) method = "read";
      else {
        transport = session.peer;
        caller = process;
      }
    }
    const tag = `${method}-${this.#made++}`;
    this.#open.add(tag);
    this.#model.call(tag, { ...action, method }, transport, caller).then(
      () => this.#open.delete(tag),
      (error: unknown) => {
        this.#failure ??= error;
      },
    );
    // Nobody is there to hear the outcome of a call whose server has died.
    if (caller !== client) this.#forgetWith(caller, tag);
  }

  #forgetWith(caller: Incarnation, tag: string): void {
    const look = () => {
      const account = this.#model.accounts.get(tag);
      if (account === undefined || account.outcomes.length > 0) return;
      if (caller.alive) this.clock.schedule(look, 500);
      else {
        this.#model.accounts.delete(tag);
        this.#open.delete(tag);
      }
    };
    this.clock.schedule(look, 500);
  }

  #log(who: string, what: string): void {
    this.trace?.push(`${this.clock.now().toFixed(1).padStart(9)}  ${who.padEnd(11)} ${what}`);
  }

  /** Session ids are random, whatever the seed; names are not. */
  #sessionName(id: string): string {
    let name = this.#names.get(id);
    if (name === undefined) {
      name = `session ${this.#names.size + 1}`;
      this.#names.set(id, name);
    }
    return name;
  }
}

/** A process that has died hears nothing. */
function whileAlive(process: Incarnation, events: LinkEvents): LinkEvents {
  return {
    onMessage: (bytes) => {
      if (process.alive) events.onMessage(bytes);
    },
    onText: () => {
      if (process.alive) events.onText();
    },
    onDrain: () => {
      if (process.alive) events.onDrain();
    },
    onClose: (code, reason) => {
      if (process.alive) events.onClose(code, reason);
    },
  };
}

function noOutcome(message: string): never {
  throw new Broken(2, message);
}
