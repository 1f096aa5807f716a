// Three nodes, as examples/deploy starts them, are restarted one after the other while clients call them through a proxy.
import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { type Client, type Connection, connect, createClient } from "../../src/client/index.js";
import { closing } from "../support/counted.js";
import { DeployedNode } from "../support/deployed.js";
import { startHaproxy, startNginx } from "../support/proxies.js";
import { freePorts } from "../support/proxy-process.js";

const CLIENTS = 6;
/** A node ends its streams, which go on at another one, after this time. */
const DRAIN_TIMEOUT_MS = 1_000;

/** Clients under load, and what became of their calls. */
class Load {
  readonly connections: readonly Connection[];
  readonly counts = { unary: 0, slow: 0, streams: 0, messages: 0 };
  /** Longest time that a unary call took, in milliseconds. */
  longestMs = 0;
  readonly failures: string[] = [];
  /** How often clients went on in a new session. */
  moves = 0;
  readonly #work: Promise<unknown>[];
  #over = false;

  constructor(url: string) {
    this.connections = Array.from({ length: CLIENTS }, () => connect(`${url}?client=${randomUUID()}`));
    for (const connection of this.connections) connection.on("lost", () => this.moves++);
    this.#work = this.connections.flatMap((connection) => {
      const client = createClient(EchoService, connection);
      return [
        this.#repeatedly("unary", () => this.#unary(client, 0)),
        this.#repeatedly("slow", () => this.#unary(client, 200)),
        this.#repeatedly("streams", () => this.#stream(client, 30)),
        this.#repeatedly("streams", () => this.#stream(client, Number.POSITIVE_INFINITY)),
      ];
    });
  }

  /** Settles when some more calls of every kind have ended, or one has failed. */
  async rounds(): Promise<void> {
    const { unary, slow, streams } = this.counts;
    while (
      this.counts.unary < unary + 10 * CLIENTS ||
      this.counts.slow < slow + CLIENTS ||
      this.counts.streams < streams + CLIENTS
    ) {
      if (this.failures.length > 0) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Ends it when all calls have ended. */
  async stop(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#work);
    await Promise.all(this.connections.map((connection) => connection.close()));
  }

  /** Ends it whatever the calls do. */
  async abandon(): Promise<void> {
    this.#over = true;
    await Promise.all(this.connections.map((connection) => connection.close()));
    await Promise.all(this.#work);
  }

  async #repeatedly(kind: "unary" | "slow" | "streams", call: () => Promise<void>): Promise<void> {
    while (!this.#over) {
      try {
        await call();
        this.counts[kind]++;
      } catch (error) {
        this.failures.push(`${kind}: ${String(error)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  async #unary(client: Client<typeof EchoService>, id: number): Promise<void> {
    const name = randomUUID();
    const begin = performance.now();
    const answer = await client.echo({ id: BigInt(id), name });
    this.longestMs = Math.max(this.longestMs, performance.now() - begin);
    if (answer.name !== name) throw new Error(`the answer to another call: ${answer.name}`);
  }

  /** Every number once and in order, whichever nodes they come from. */
  async #stream(client: Client<typeof EchoService>, count: number): Promise<void> {
    let last = 0;
    for await (const { number } of client.repeat({ count: Math.min(count, 0xffffffff) })) {
      if (number !== last + 1) throw new Error(`${number} after ${last}`);
      last = number;
      this.counts.messages++;
      if (this.#over) return;
    }
    if (last !== count) throw new Error(`${last} messages of ${count}`);
  }
}

it.each([
  ["nginx", startNginx],
  ["HAProxy", startHaproxy],
])(
  "behind %s, no call fails when one node after the other is restarted",
  async (_name, startProxy) => {
    const ports = await freePorts(3);
    const nodes = closing(
      ports.map((port) => new DeployedNode(port, DRAIN_TIMEOUT_MS)),
      (started) => Promise.all(started.map((node) => node.kill())),
    );
    await Promise.all(nodes.map((node) => node.start()));
    const proxy = closing(await startProxy({ nodes: ports }), (started) => started.stop());
    const load = closing(new Load(proxy.url), (clients) => clients.abandon());
    await load.rounds();
    const begin = performance.now();
    for (const node of nodes) {
      const code = await node.terminate();
      expect(code).toBe(0);
      await node.start();
      await load.rounds();
    }
    const tookMs = performance.now() - begin;
    await load.stop();
    const { unary, slow, streams, messages } = load.counts;
    process.stdout.write(
      `${nodes.length} restarts in ${(tookMs / 1000).toFixed(1)} s: ${unary} calls, ${slow} slow ones, ${streams} streams ` +
        `(${messages} messages), ${load.failures.length} failed; ${load.moves} sessions begun anew, longest call ` +
        `${Math.round(load.longestMs)} ms\n`,
    );
    expect(load.failures).toEqual([]);
    expect(load.moves).toBeGreaterThanOrEqual(CLIENTS);
  },
  120_000,
);
