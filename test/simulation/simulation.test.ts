// Random calls over random networks, on virtual time. A failing seed is named; `SEED=n` replays it alone.
import { describe, expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { type Client, Code, createClient, type Router, RpcError } from "../../src/index.js";
import { createPair, type Pair, seededRandom } from "../../src/testing/index.js";

const RUNS = 150;
const CALLS = 24;
const OUTBOX = 256 * 1024;
/** A packet may pass the limit of the outbox by its own size. */
const ONE_PACKET = 2 * 65_536;

const seeds =
  process.env["SEED"] === undefined
    ? Array.from({ length: RUNS }, (_, i) => i + 1)
    : [Number(process.env["SEED"])];

type Kind = "echo" | "repeat" | "collect" | "converse";
const KINDS: readonly Kind[] = ["echo", "repeat", "collect", "converse"];

/** What becomes of a call: it ends well, or with this code. */
type Outcome = "ok" | RpcError;

class World {
  readonly random: () => number;
  readonly executions = new Map<string, number>();
  readonly outcomes = new Map<string, Outcome[]>();
  readonly pair: Pair;

  constructor(seed: number, network: { latencyMs: number; jitterMs: number; bytesPerSecond: number }) {
    this.random = seededRandom(seed * 7919);
    const session = {
      pingIntervalMs: 2_000,
      pingTimeoutMs: 1_000,
      ackTimeoutMs: 4_000,
      handshakeTimeoutMs: 3_000,
      outboxBytes: OUTBOX,
    };
    const routes = (router: Router) => this.#serve(router);
    this.pair = createPair({
      seed,
      network,
      server: { routes, ...session, graceMs: 120_000 },
      client: {
        routes,
        ...session,
        maxWaitMs: 500_000,
        reconnect: { initialDelayMs: 50, maxDelayMs: 1_000 },
      },
    });
  }

  int(below: number): number {
    return Math.floor(this.random() * below);
  }

  /** Sizes as they come: mostly small, some of several pieces, some empty. */
  size(): number {
    const die = this.random();
    return die < 0.15 ? 0 : die < 0.8 ? this.int(200) : die < 0.95 ? this.int(20_000) : this.int(300_000);
  }

  #ran(tag: string): void {
    this.executions.set(tag, (this.executions.get(tag) ?? 0) + 1);
  }

  #serve(router: Router): Router {
    const pause = () => this.pause(0.3);
    return router.service(EchoService, {
      echo: async (request) => {
        this.#ran(request.name);
        await pause();
        return { id: request.id, name: request.name, body: request.body };
      },
      repeat: async function* (this: World, { body, count }: { body: Uint8Array; count: number }) {
        this.#ran(tagOf(body));
        for (let number = 1; number <= count; number++) {
          await pause();
          yield { number, body };
        }
      }.bind(this),
      collect: async (requests) => {
        const numbers: number[] = [];
        let bytes = 0n;
        for await (const { number, body } of requests) {
          if (numbers.length === 0) this.#ran(tagOf(body));
          numbers.push(number);
          bytes += BigInt(body.length);
          await pause();
        }
        return { numbers, bytes };
      },
      converse: async function* (this: World, requests: AsyncIterable<{ number: number; body: Uint8Array }>) {
        let begun = false;
        for await (const { number, body } of requests) {
          if (!begun) this.#ran(tagOf(body));
          begun = true;
          await pause();
          yield { number, body };
        }
      }.bind(this),
    });
  }

  /** Waits a little, sometimes. */
  async pause(chance: number): Promise<void> {
    if (this.random() < chance)
      await new Promise<void>((resolve) => this.pair.clock.schedule(resolve, this.int(40)));
  }

  /** One call of a kind; its outcome is noted, once. */
  async call(client: Client<typeof EchoService>, kind: Kind, tag: string): Promise<void> {
    const note = (outcome: Outcome) => this.outcomes.set(tag, [...(this.outcomes.get(tag) ?? []), outcome]);
    try {
      await this.#make(client, kind, tag);
      note("ok");
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      note(error);
    }
  }

  async #make(client: Client<typeof EchoService>, kind: Kind, tag: string): Promise<void> {
    const count = 1 + this.int(12);
    const all = Array.from({ length: count }, (_, i) => i + 1);
    const body = taggedBody(tag, this.size());
    const world = this;
    async function* requests() {
      for (const number of all) {
        await world.pause(0.3);
        yield { number, body };
      }
    }
    const numbers: number[] = [];
    const read = async (messages: AsyncIterable<{ number: number; body: Uint8Array }>) => {
      for await (const message of messages) {
        numbers.push(message.number);
        expect(message.body).toEqual(body);
        await this.pause(0.2);
      }
    };
    switch (kind) {
      case "echo": {
        const response = await client.echo({ id: BigInt(count), name: tag, body });
        expect(response.body).toEqual(body);
        return;
      }
      case "repeat":
        await read(client.repeat({ body, count }));
        break;
      case "collect": {
        const response = await client.collect(requests());
        expect(response.bytes).toBe(BigInt(count * body.length));
        numbers.push(...response.numbers);
        break;
      }
      case "converse":
        await read(client.converse(requests()));
        break;
    }
    expect(numbers).toEqual(all);
  }
}

function taggedBody(tag: string, size: number): Uint8Array {
  const body = new Uint8Array(16 + size).fill(size & 0xff);
  new TextEncoder().encodeInto(tag.padEnd(16), body);
  return body;
}

function tagOf(body: Uint8Array): string {
  return new TextDecoder().decode(body.subarray(0, 16)).trim();
}

/** Runs one seed to its end and checks what must hold. */
async function simulate(seed: number, losses: boolean): Promise<World> {
  const dice = seededRandom(seed);
  const world = new World(seed, {
    latencyMs: 1 + Math.floor(dice() * 60),
    jitterMs: Math.floor(dice() * 80),
    bytesPerSecond: dice() < 0.5 ? Number.POSITIVE_INFINITY : 200_000 + dice() * 2_000_000,
  });
  const { pair } = world;
  const { clock, network, connection } = pair;

  // The client may call as soon as it likes; the server, once it knows the client.
  const up = createClient(EchoService, connection);
  const calls: Promise<void>[] = [];
  let made = 0;
  const makeCall = () => {
    const kind = KINDS[world.int(KINDS.length)] as Kind;
    // Not just any session: one whose Welcome was lost has no client.
    const session = [...pair.sessions].find(({ id }) => id === connection.sessionId);
    const fromServer = session !== undefined && world.random() < 0.3;
    const client = fromServer ? createClient(EchoService, session.peer) : up;
    calls.push(world.call(client, kind, `${fromServer ? "s" : "c"}${made}-${kind}`));
    if (++made < CALLS) clock.schedule(makeCall, world.int(300));
  };
  clock.schedule(makeCall, 0);

  let faults = 3 + world.int(8);
  let worstOutbox = 0;
  let over = false;
  const makeFault = () => {
    if (over) return;
    const die = world.random();
    if (die < 0.5) network.cut();
    else if (die < 0.7) network.stall();
    else if (die < 0.85) {
      pair.reachable = false;
      network.cut();
      clock.schedule(() => {
        pair.reachable = true;
      }, world.int(3_000));
    } else if (losses) pair.restartServer();
    else network.cut();
    if (--faults > 0) clock.schedule(makeFault, world.int(1_500));
  };
  clock.schedule(makeFault, world.int(200));
  const watch = () => {
    for (const session of pair.sessions) worstOutbox = Math.max(worstOutbox, session.bufferedBytes);
    if (world.outcomes.size < CALLS) clock.schedule(watch, 20);
  };
  watch();

  await clock.runUntil(() => made === CALLS && world.outcomes.size === CALLS);
  await Promise.all(calls);

  // A call has exactly one outcome, and its handler ran at most once: exactly once when it ended well.
  for (const [tag, outcomes] of world.outcomes) {
    expect(outcomes, tag).toHaveLength(1);
    const [outcome] = outcomes as [Outcome];
    const ran = world.executions.get(tag) ?? 0;
    if (outcome === "ok") expect(ran, `${tag} ended well`).toBe(1);
    else {
      expect(losses, `${tag} failed: ${outcome}`).toBe(true);
      expect([Code.Unavailable, Code.Canceled], `${tag}: ${outcome}`).toContain(outcome.code);
      expect(ran, tag).toBeLessThanOrEqual(outcome.executed === "no" ? 0 : 1);
    }
  }
  expect(worstOutbox).toBeLessThanOrEqual(OUTBOX + ONE_PACKET);
  // What the simulation itself has set going comes to its end.
  over = true;
  await clock.advance(5_000);
  await pair.close();
  pair.assertFinished();
  return world;
}

describe("random calls over random networks", () => {
  it.each([
    ["sessions survive everything: every call ends well, its handler ran once", false],
    ["servers die as well: every call has one outcome, no handler runs twice", true],
  ])(
    "%s",
    async (_what, losses) => {
      let failed = 0;
      for (const seed of seeds) {
        let world: World;
        try {
          world = await simulate(seed, losses);
        } catch (error) {
          throw new Error(`seed ${seed} fails; replay it with SEED=${seed}`, { cause: error });
        }
        failed += [...world.outcomes.values()].filter(([outcome]) => outcome !== "ok").length;
      }
      // With losses some calls must fail, or the simulation does not reach what it is there for.
      if (losses && seeds.length > 10) expect(failed).toBeGreaterThan(0);
      else if (!losses) expect(failed).toBe(0);
    },
    180_000,
  );

  it("goes the same way for the same seed", async () => {
    const trace = (world: World) =>
      [...world.outcomes.entries()].map(([tag, [outcome]]) => `${tag} ${outcome}`);
    expect(trace(await simulate(5, true))).toEqual(trace(await simulate(5, true)));
  });
});
