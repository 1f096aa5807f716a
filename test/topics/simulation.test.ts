// Topics over broken networks on a virtual clock, from seeds: every subscriber sees each publication once and in order, or is
// told of the gap.
import { describe, expect, it } from "vitest";
import { type Note, TopicService } from "../../gen/hawser/test/v1/topics_pb.js";
import type { Random } from "../../src/base/clock.js";
import { createMemoryBroker } from "../../src/broker/memory.js";
import { createClient, gapBefore, type Topic, type TopicGap } from "../../src/client/index.js";
import { createPair, type Pair, seededRandom } from "../../src/testing/index.js";
import { LatestNotes, Notes, PlainNotes, ShortNotes, topicRoutes } from "../support/topics.js";

/** More than in a usual run can be had with SIM_TOPIC_SEEDS, and a single one again with SIM_TOPIC_SEED. */
const only = process.env["SIM_TOPIC_SEED"];
const SEEDS =
  only === undefined
    ? Array.from({ length: Number(process.env["SIM_TOPIC_SEEDS"] ?? 150) }, (_, i) => i + 1)
    : [Number(only)];

type Kind = "watch" | "short" | "watchPlain" | "watchLatest";

const KINDS: Readonly<
  Record<Kind, Topic<typeof import("../../gen/hawser/test/v1/topics_pb.js").NoteSchema>>
> = {
  watch: Notes("a"),
  short: ShortNotes("short"),
  watchPlain: PlainNotes("a"),
  watchLatest: LatestNotes("a"),
};

interface Seen {
  readonly number: number;
  readonly key: string;
  readonly gap: TopicGap | undefined;
}

/** A subscription, read at a pace of its own. */
class Reader {
  readonly kind: Kind;
  readonly seen: Seen[] = [];
  gapsTold = 0;
  error: unknown;

  constructor(pair: Pair, kind: Kind, random: Random) {
    this.kind = kind;
    const client = createClient(TopicService, pair.connection);
    const options = { topic: { onGap: () => this.gapsTold++ } };
    const stream =
      kind === "short"
        ? client.watch({ name: "short" }, options)
        : client[kind as Exclude<Kind, "short">]({ name: "a" }, options);
    this.#read(stream, pair, random).catch((error: unknown) => {
      this.error = error;
    });
  }

  async #read(stream: AsyncIterable<Note>, pair: Pair, random: Random): Promise<void> {
    const lazy = random() < 0.4;
    for await (const note of stream) {
      this.seen.push({ number: note.number, key: note.key, gap: gapBefore(note) });
      if (lazy && random() < 0.2) {
        await new Promise<void>((resolve) => pair.clock.schedule(resolve, random() * 2_000));
      }
    }
  }

  /** What is wrong with what was seen. */
  faults(): string[] {
    const faults: string[] = [];
    if (this.error !== undefined) faults.push(`${this.kind} failed: ${this.error}`);
    for (const [i, { number, gap }] of this.seen.entries()) {
      const before = this.seen[i - 1];
      if (before === undefined) continue;
      if (number <= before.number) faults.push(`${this.kind}: ${number} after ${before.number}`);
      const whole = number === before.number + 1;
      if (!whole && gap === undefined && this.kind !== "watchLatest")
        faults.push(`${this.kind}: ${number} after ${before.number} without a word`);
      // Without history, a server that was replaced knows nothing of what was before.
      if (
        gap !== undefined &&
        (this.kind === "watch" || (this.kind === "watchLatest" && gap.reason !== "newEpoch"))
      )
        faults.push(`${this.kind}: a gap (${gap.reason}) before ${number}, and nothing can have been missed`);
    }
    return faults;
  }
}

async function simulate(seed: number): Promise<string[]> {
  const random = seededRandom(seed);
  const upTo = (most: number) => Math.floor(random() * (most + 1));
  let pair: Pair | undefined;
  let epochs = 0;
  const broker = createMemoryBroker({
    clock: () => pair?.clock.now() ?? 0,
    newEpoch: () => `e${++epochs}`,
    maxHistoryBytes: 1e9,
  });
  pair = createPair({
    seed,
    server: { routes: topicRoutes, broker, graceMs: 5_000, logger: QUIET },
    client: {
      maxWaitMs: 3_600_000,
      reconnect: { initialDelayMs: 50, maxDelayMs: 1_000 },
      ...(random() < 0.5 ? { limits: { creditBytes: 65_536 } } : {}),
    },
    network: {
      latencyMs: 1 + upTo(40),
      jitterMs: upTo(30),
      ...(random() < 0.5 ? { bytesPerSecond: 50_000 + upTo(2_000_000) } : {}),
    },
  });
  const { clock, network } = pair;
  const readers: Reader[] = [];
  const kinds = Object.keys(KINDS) as Kind[];
  const numbers = new Map<Kind, number>();
  const publish = async (kind: Kind) => {
    const number = (numbers.get(kind) ?? 0) + 1;
    numbers.set(kind, number);
    const size = random() < 0.05 ? upTo(200_000) : upTo(300);
    await pair.publish(KINDS[kind], { number, key: `k${upTo(5)}`, body: new Uint8Array(size) });
  };
  for (let step = 0; step < 60; step++) {
    if (readers.length < 6 && random() < 0.2) readers.push(new Reader(pair, kinds[upTo(3)] as Kind, random));
    if (random() < 0.6) {
      const kind = kinds[upTo(3)] as Kind;
      for (let i = upTo(random() < 0.1 ? 300 : 10); i > 0; i--) await publish(kind);
    }
    const what = random();
    if (what < 0.1) network.cut();
    else if (what < 0.2) network.cutAfter(random() < 0.7 ? "down" : "up", upTo(20_000));
    else if (what < 0.24) network.stall(random() < 0.5 ? "down" : "up");
    else if (what < 0.28) network.dieLate(upTo(200));
    else if (what < 0.31) pair.restartServer();
    else if (what < 0.35) pair.reachable = random() < 0.5;
    await clock.advance(random() < 0.1 ? upTo(8_000) : upTo(200));
  }
  pair.reachable = true;
  await clock.runUntil(() => pair.connection.state === "open");
  // Something to be sure of at the end: whoever is subscribed by now gets this one.
  await clock.advance(60_000);
  for (const kind of kinds) await publish(kind);
  const waits = readers.filter(({ error }) => error === undefined);
  try {
    await clock.runUntil(() => waits.every(({ kind, seen }) => seen.at(-1)?.number === numbers.get(kind)));
  } catch (error) {
    return [
      `never came to the end: ${String(error)}`,
      ...waits.map(({ kind, seen }) => `${kind}: ${seen.at(-1)?.number} of ${numbers.get(kind)}`),
    ];
  }
  const faults = readers.flatMap((reader) => reader.faults());
  await pair.close();
  return faults;
}

const QUIET = { warn: () => undefined, error: () => undefined };

describe("topics over broken networks", () => {
  it(`hold for ${SEEDS.length} seeds`, { timeout: 300_000 }, async () => {
    const failed: string[] = [];
    for (const seed of SEEDS) {
      const faults = await simulate(seed);
      if (faults.length > 0) failed.push(`seed ${seed} (SIM_TOPIC_SEED=${seed}): ${faults.join("; ")}`);
    }
    expect(failed).toEqual([]);
  });
});
