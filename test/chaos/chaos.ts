import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { ChaosService } from "../../gen/hawser/chaos/v1/chaos_pb.js";
import type { Random } from "../../src/base/clock.js";
import { type Connection, connect, createClient, gapBefore } from "../../src/client/index.js";
import { startNatsCluster } from "../support/nats.js";
import { type Front, startFront } from "./front.js";
import { Account, Ledger } from "./ledger.js";

const NODE = fileURLToPath(new URL("./node.ts", import.meta.url));
const TOPICS = ["long.a", "long.b", "long.c", "short.a"];

/** What a run did. */
export interface Outcome {
  readonly acknowledged: number;
  readonly delivered: number;
  readonly gaps: number;
  readonly resumed: number;
  readonly lost: number;
  /** Longest time that a publisher waited for an acknowledgement, in milliseconds. */
  readonly longestAckMs: number;
  readonly injected: ReadonlyMap<string, number>;
  readonly faults: readonly string[];
}

/** Something that breaks, and is mended again. */
export type Injection =
  | "kill a node"
  | "kill a NATS server"
  | "kill a node and a NATS server"
  | "pause a node"
  | "pause a NATS server"
  | "restart NATS whole";

export const INJECTIONS: readonly Injection[] = [
  "kill a node",
  "kill a NATS server",
  "kill a node and a NATS server",
  "pause a node",
  "pause a NATS server",
  "restart NATS whole",
];

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A node of Hawser in a process of its own, which comes back under its port. */
class HawserNode {
  port = 0;
  readonly #servers: string;
  #child: ChildProcess | undefined;

  constructor(servers: string) {
    this.#servers = servers;
  }

  async start(): Promise<void> {
    for (;;) {
      const child = fork(NODE, [String(this.port), this.#servers], {
        execArgv: ["--import", "tsx"],
        stdio: ["ignore", "ignore", "inherit", "ipc"],
      });
      this.#child = child;
      const port = await new Promise<number | undefined>((resolve) => {
        child.once("message", (message) => resolve(message as number));
        child.once("exit", () => resolve(undefined));
      });
      if (port !== undefined) {
        this.port = port;
        return;
      }
      // NATS has no leader at the moment; try again, as a supervisor does.
      await sleep(500);
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }
}

type NatsServers = Awaited<ReturnType<typeof startNatsCluster>>;

/** Three nodes on a cluster of three NATS servers, and clients that check what they get. */
export class Chaos {
  readonly ledger: Ledger = new Ledger(TOPICS);
  readonly #random: Random;
  readonly #nats: NatsServers;
  readonly #nodes: readonly HawserNode[];
  readonly #front: Front;
  readonly #connections: Connection[] = [];
  readonly #accounts: { readonly topic: string; readonly account: Account }[] = [];
  readonly #injected = new Map<string, number>();
  readonly #publishers: Promise<void>[] = [];
  #publishing = true;
  #resumed = 0;
  #lost = 0;
  #longestAckMs = 0;

  private constructor(nats: NatsServers, nodes: readonly HawserNode[], front: Front, random: Random) {
    this.#nats = nats;
    this.#nodes = nodes;
    this.#front = front;
    this.#random = random;
  }

  static async start(random: Random, subscribers: number): Promise<Chaos> {
    const nats = await startNatsCluster(3);
    const servers = nats.map(({ url }) => url).join(",");
    const nodes = [0, 1, 2].map(() => new HawserNode(servers));
    await Promise.all(nodes.map((node) => node.start()));
    const front = await startFront(() => nodes.map(({ port }) => port), random);
    const chaos = new Chaos(nats, nodes, front, random);
    for (let i = 0; i < subscribers; i++) chaos.#subscribe(i);
    for (const topic of TOPICS) chaos.#publishers.push(chaos.#publish(topic));
    return chaos;
  }

  /** Breaks something, waits, mends it. */
  async inject(what: Injection): Promise<void> {
    this.#injected.set(what, (this.#injected.get(what) ?? 0) + 1);
    const node = this.#pick(this.#nodes);
    const server = this.#pick(this.#nats);
    const forMs = 1_000 + this.#random() * 4_000;
    switch (what) {
      case "kill a node":
        node.kill("SIGKILL");
        await sleep(forMs / 2);
        return node.start();
      case "kill a NATS server":
        await server.kill();
        await sleep(forMs);
        return server.restart();
      case "kill a node and a NATS server":
        node.kill("SIGKILL");
        await server.kill();
        await sleep(forMs);
        await server.restart();
        return node.start();
      case "pause a node":
        node.kill("SIGSTOP");
        await sleep(forMs * 2);
        node.kill("SIGCONT");
        return;
      case "pause a NATS server":
        server.pause();
        await sleep(forMs * 2);
        server.resume();
        return;
      case "restart NATS whole":
        await Promise.all(this.#nats.map((one) => one.kill()));
        await sleep(forMs / 2);
        await Promise.all(this.#nats.map((one) => one.restart()));
    }
  }

  /** Breaks some links. */
  cut(part: number): void {
    this.#front.cut(part);
  }

  /** Figures so far. */
  get outcome(): Outcome {
    const acknowledged = [...this.ledger.acknowledged.values()].reduce((sum, number) => sum + number, 0);
    const { delivered, gaps, faults } = this.ledger;
    return {
      acknowledged,
      delivered,
      gaps,
      faults,
      resumed: this.#resumed,
      lost: this.#lost,
      longestAckMs: Math.round(this.#longestAckMs),
      injected: this.#injected,
    };
  }

  /** Stops publishing, and waits until every subscriber has the last message, which all are to get. */
  async settle(withinMs: number): Promise<void> {
    this.#publishing = false;
    await Promise.all(this.#publishers);
    const end = performance.now() + withinMs;
    const missing = () =>
      this.#accounts.filter(({ topic, account }) => account.last !== this.ledger.acknowledged.get(topic));
    while (missing().length > 0 && performance.now() < end) await sleep(100);
    for (const { topic, account } of missing()) {
      this.ledger.fault(
        `a subscriber of ${topic} ends with ${account.last}, and ${this.ledger.acknowledged.get(topic)} were acknowledged`,
      );
    }
  }

  async close(): Promise<void> {
    this.#publishing = false;
    await Promise.all(this.#connections.map((connection) => connection.close()));
    await this.#front.close();
    for (const node of this.#nodes) node.kill("SIGKILL");
    for (const server of this.#nats) await server[Symbol.asyncDispose]();
  }

  #connect(): Connection {
    const connection = connect(`ws://127.0.0.1:${this.#front.port}/rpc`, {
      reconnect: { initialDelayMs: 50, maxDelayMs: 1_000 },
      pingIntervalMs: 2_000,
      pingTimeoutMs: 2_000,
      handshakeTimeoutMs: 5_000,
      maxWaitMs: 3_600_000,
      retry: { policy: { maxAttempts: 5, initialBackoffMs: 50, maxBackoffMs: 1_000 } },
    });
    connection.on("resumed", () => this.#resumed++);
    connection.on("lost", () => this.#lost++);
    this.#connections.push(connection);
    return connection;
  }

  #subscribe(index: number): void {
    const topic = TOPICS[index % TOPICS.length] as string;
    const account = new Account(`subscriber ${index} of ${topic}`, topic.startsWith("short"), this.ledger);
    this.#accounts.push({ topic, account });
    void this.#watch(createClient(ChaosService, this.#connect()), topic, account);
  }

  async #watch(
    client: ReturnType<typeof createClient<typeof ChaosService>>,
    topic: string,
    account: Account,
  ): Promise<void> {
    let after: string | undefined;
    // A stream that fails after all its attempts is begun again behind what was got.
    while (this.#publishing || account.last !== this.ledger.acknowledged.get(topic)) {
      const options = {
        topic: {
          ...(after === undefined ? {} : { after }),
          onPosition: (position: string) => {
            after = position;
          },
        },
      };
      try {
        for await (const message of client.watch({ topic }, options)) {
          account.saw(message.number, gapBefore(message)?.reason);
        }
      } catch {
        await sleep(100);
      }
    }
  }

  async #publish(topic: string): Promise<void> {
    const client = createClient(ChaosService, this.#connect());
    for (let number = 1; this.#publishing; number++) {
      const id = `${topic} ${number}`;
      const start = performance.now();
      for (;;) {
        try {
          await client.publish({ topic, number, id }, { timeoutMs: 20_000 });
          break;
        } catch {
          // The same publication, until it is known to be stored.
          await sleep(50);
        }
      }
      this.#longestAckMs = Math.max(this.#longestAckMs, performance.now() - start);
      this.ledger.acknowledged.set(topic, number);
      await sleep(5);
    }
  }

  #pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.#random() * all.length)] as T;
  }
}
