// The store on NATS, over real servers: by its contract, and by what a network and its servers do to it.
import { JetStreamApiError, jetstreamManager } from "@nats-io/jetstream";
import { Kvm, type KvOptions } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { connect as connectClient } from "../../src/client/index.js";
import { decodeOutcome } from "../../src/idempotency/outcome.js";
import { type Begun, type Claim, Code, createClient, LostClaimError, RpcError } from "../../src/index.js";
import {
  type NatsIdempotencyStore,
  type NatsIdempotencyStoreOptions,
  natsIdempotencyStore,
} from "../../src/nats/idempotency-store.js";
import { createServer } from "../../src/server/index.js";
import { storeContract } from "../idempotency/store-contract.js";
import { type NatsNode, type NatsServer, startNats, startNatsCluster } from "../support/nats.js";

const SHAPE = { method: "a.B/C", fingerprint: 2 ** 53 - 1 };
const ID = { identity: "ada", key: "k" };
const OUTCOME = Uint8Array.of(1, 2, 3);
const DEFAULT_MAX_PAYLOAD = 1_048_576;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

let server: NatsServer;
let shared: NatsConnection;
beforeAll(async () => {
  // Outcomes of 1 MiB are part of the contract, and a message is more than its outcome.
  server = await startNats({ config: "max_payload: 8MB" });
  shared = await connect({ servers: server.url });
});
afterAll(async () => {
  await shared?.close();
  await server?.[Symbol.asyncDispose]();
});

let buckets = 0;
const newBucket = () => `bucket-${++buckets}`;

/** A connection that lasts as long as the test, and comes back as soon as its server does. */
async function connected(...urls: string[]): Promise<NatsConnection> {
  const servers = urls.length === 0 ? server.url : urls;
  const connection = await connect({ servers, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
  onTestFinished(() => connection.close());
  return connection;
}

function storeOn(options: Partial<NatsIdempotencyStoreOptions> = {}): NatsIdempotencyStore {
  return natsIdempotencyStore({ connection: shared, bucket: newBucket(), ...options });
}

function claimed(begun: Begun): Claim {
  if (begun.state !== "new") return expect.fail(`the key is ${begun.state}`);
  return begun.claim;
}

async function begin(store: NatsIdempotencyStore, now: number, key = "k"): Promise<Claim> {
  return claimed(await store.begin({ ...ID, key }, SHAPE, now));
}

const unavailable = (executed: string) => expect.objectContaining({ code: Code.Unavailable, executed });

/** Runs a key as a guard does, until somebody has run it; its outcome says who. */
async function runOnce(
  store: NatsIdempotencyStore,
  key: string,
  ran: (attempt: number) => string,
): Promise<string> {
  for (;;) {
    try {
      const begun = await store.begin({ ...ID, key }, SHAPE, Date.now());
      if (begun.state === "done") return new TextDecoder().decode(begun.outcome);
      if (begun.state === "new") {
        const outcome = new TextEncoder().encode(ran(begun.claim.attempt));
        await store.complete(begun.claim, outcome, Date.now());
      } else await sleep(20);
    } catch (error) {
      if (!(error instanceof RpcError) || error.executed !== "no") throw error;
      await sleep(50);
    }
  }
}

/**
 * Stores that want to run the same keys at the same time: how often each was run, and how many outcomes were told of it.
 *
 * @param midway called when a quarter of the keys have been run
 */
async function race(stores: readonly NatsIdempotencyStore[], keys: number, midway = async () => {}) {
  const runs = new Map<string, number>();
  const told = new Map<string, Set<string>>();
  let over: Promise<void> | undefined;
  const calls = Array.from({ length: keys }, (_, number) => `key ${number}`).flatMap((key) =>
    stores.map(async (store, index) => {
      const outcome = await runOnce(store, key, (attempt) => {
        runs.set(key, (runs.get(key) ?? 0) + 1);
        if (runs.size > keys / 4) over ??= midway();
        return `${index} ${attempt}`;
      });
      told.set(key, (told.get(key) ?? new Set()).add(outcome));
    }),
  );
  await Promise.all(calls);
  await over;
  return { runs: [...runs.values()], told: [...told.values()].map((outcomes) => outcomes.size) };
}

storeContract("the store in NATS", () => {
  const store = storeOn({ ttlMs: 60_000, leaseMs: 5_000 });
  return { store, ttlMs: 60_000, close: () => store.close() };
});

storeContract("the store in NATS, in memory", () => {
  const store = storeOn({ ttlMs: 60_000, leaseMs: 5_000, storage: "memory" });
  return { store, ttlMs: 60_000, close: () => store.close() };
});

describe("its bucket", () => {
  it("has the settings that were asked for, and no direct gets", async () => {
    await begin(storeOn({ bucket: "mine", ttlMs: 90_000, storage: "memory" }), 0);
    const { config } = await (await jetstreamManager(shared)).streams.info("KV_mine");
    expect(config).toMatchObject({
      allow_direct: false,
      max_age: 90_000e6,
      max_msgs_per_subject: 1,
      num_replicas: 1,
      storage: "memory",
    });
  });

  it("is read by the leader, even if it was made with direct gets", async () => {
    const connection = await connected();
    const bucket = newBucket();
    await new Kvm(connection).create(bucket, { ttl: 86_400_000, allow_direct: true });
    const store = storeOn({ connection, bucket });
    await begin(store, 0);
    const request = vi.spyOn(connection, "request");
    expect(await store.begin(ID, SHAPE, 1)).toMatchObject({ state: "running" });
    const subjects = request.mock.calls.map(([subject]) => subject);
    expect(subjects).toEqual([`$KV.${bucket}.ada.k`, `$JS.API.STREAM.MSG.GET.KV_${bucket}`]);
  });

  it.each<[Partial<KvOptions>, RegExp]>([
    [
      { ttl: 1_000 },
      /bucket-\d+ was made with other settings \(TTL in milliseconds: 1000 instead of 86400000\)/,
    ],
    [{}, /TTL in milliseconds: 0 instead of 86400000/],
    [{ ttl: 86_400_000, storage: "memory" }, /storage: memory instead of file/],
    [{ ttl: 86_400_000, history: 5 }, /history: 5 instead of 1/],
    [{ ttl: 86_400_000, maxValueSize: 1_000 }, /largest value: 1000 instead of -1/],
    [{ ttl: 86_400_000, max_bytes: 1_000 }, /most bytes: 1000 instead of -1/],
  ])("is refused when it was made by somebody else with %j", async (options, message) => {
    const bucket = newBucket();
    const other = await new Kvm(shared).create(bucket, options);
    const store = storeOn({ bucket });
    await expect(store.begin(ID, SHAPE, 0)).rejects.toThrow(message);
    // Whoever looks after the bucket puts it right.
    await other.destroy();
    await begin(store, 0);
  });

  it("is made again when it was deleted", async () => {
    const bucket = newBucket();
    const store = storeOn({ bucket });
    await begin(store, 0, "first");
    await (await new Kvm(shared).open(bucket)).destroy();
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, i) => store.begin({ ...ID, key: `${i}` }, SHAPE, 0)),
    );
    expect(all.every(({ state }) => state === "new")).toBe(true);
    expect((await begin(store, 0, "first")).attempt).toBe(1);
  });

  it("gets back the claims of those who run while it is deleted, and their outcomes", async () => {
    const bucket = newBucket();
    const store = storeOn({ bucket });
    const [completing, renewing, late] = await Promise.all(
      ["a", "b", "c"].map((key) => begin(store, 0, key)),
    );
    await (await new Kvm(shared).open(bucket)).destroy();
    await store.complete(completing!, OUTCOME, 1);
    await store.renew([renewing!], 1);
    expect(await store.begin({ ...ID, key: "a" }, SHAPE, 2)).toMatchObject({ state: "done" });
    expect(await store.begin({ ...ID, key: "b" }, SHAPE, 2)).toMatchObject({ state: "running" });
    // Attempts count from 1 again, and are told apart all the same. (Revisions do too: they must not be the same by chance.)
    await begin(store, 2, "d");
    const next = await begin(store, 2, "c");
    expect(next.attempt).toBe(late!.attempt);
    await store.renew([late!], 2);
    await store.release(late!);
    await expect(store.complete(late!, OUTCOME, 2)).rejects.toThrow(LostClaimError);
    await store.complete(next, OUTCOME, 2);
  });

  it("forgets a key whose record was deleted by hand", async () => {
    const bucket = newBucket();
    const store = storeOn({ bucket });
    await store.complete(await begin(store, 0), OUTCOME, 0);
    await (await new Kvm(shared).open(bucket)).delete("ada.k");
    await begin(store, 0);
  });

  it("says so when it holds something else, or records of another version", async () => {
    const bucket = newBucket();
    const store = storeOn({ bucket });
    await begin(store, 0);
    const kv = await new Kvm(shared).open(bucket);
    for (const value of ["", "\n", "null\n", "hello", "{}\n"]) {
      await kv.put("ada.k", value);
      await expect(store.begin(ID, SHAPE, 0)).rejects.toThrow(/something that is no record/);
    }
    await kv.put("ada.k", '{"version":99}\n');
    await expect(store.begin(ID, SHAPE, 0)).rejects.toThrow(/records of version 99, and this is version 1/);
  });

  it("takes no new keys when there is no room", async () => {
    const account = "A: { jetstream: { max_file: 20KB, max_mem: 20KB }, users: [{ user: a, password: a }] }";
    await using small = await startNats({ config: `accounts: { ${account} }\nno_auth_user: a` });
    const store = storeOn({ connection: await connected(small.url) });
    const claims: Claim[] = [];
    const fill = async () => {
      for (;;) claims.push(await begin(store, 0, String(claims.length)));
    };
    await expect(fill()).rejects.toThrow(
      expect.objectContaining({ code: Code.ResourceExhausted, executed: "no" }),
    );
    const [first, ...others] = claims;
    const completed = store.complete(first!, new Uint8Array(5_000), 0);
    await expect(completed).rejects.toMatchObject({
      code: Code.ResourceExhausted,
      rawMessage: expect.stringMatching(/no room/),
    });
    // It has run, and its record is not what makes room.
    const done = await store.begin({ ...ID, key: first!.key }, SHAPE, 1);
    expect(done.state === "done" && decodeOutcome(done.outcome)).toMatchObject({
      code: Code.ResourceExhausted,
    });
    for (const { key } of others) {
      expect(await store.begin({ ...ID, key }, SHAPE, 1)).toMatchObject({ state: "running" });
    }
  });

  it("lives by its TTL, which begins anew when a claim is renewed", async () => {
    const bucket = newBucket();
    const store = storeOn({ bucket, ttlMs: 1_000, leaseMs: 900 });
    const claim = await begin(store, 0);
    await begin(store, 0, "dead");
    const { streams } = await jetstreamManager(shared);
    const size = async () => (await streams.info(`KV_${bucket}`)).state.messages;
    for (let i = 0; i < 5; i++) {
      await sleep(300);
      await store.renew([claim], 0);
    }
    expect(await size()).toBe(1);
    await store.complete(claim, OUTCOME, 0);
    await vi.waitFor(async () => expect(await size()).toBe(0), { timeout: 5_000 });
  });
});

describe("two stores on two connections", () => {
  it("run each of 200 keys once", async () => {
    const bucket = newBucket();
    const stores = [
      storeOn({ bucket, connection: await connected() }),
      storeOn({ bucket, connection: await connected() }),
    ];
    const { runs, told } = await race(stores, 200);
    expect(runs).toEqual(Array(200).fill(1));
    expect(told).toEqual(Array(200).fill(1));
  });

  it("take over from each other when a lease has run out, and shut the late one out", async () => {
    const bucket = newBucket();
    const dead = storeOn({ bucket, connection: await connected(), leaseMs: 1_000 });
    const alive = storeOn({ bucket, connection: await connected(), leaseMs: 1_000 });
    const first = await begin(dead, 0);
    expect(await alive.begin(ID, SHAPE, 999)).toEqual({ state: "running", shape: SHAPE, leaseLeftMs: 1 });
    const second = await begin(alive, 1_000);
    expect(second.attempt).toBe(2);
    await dead.renew([first], 1_001);
    await dead.release(first);
    await expect(dead.complete(first, OUTCOME, 1_001)).rejects.toThrow(LostClaimError);
    expect(await dead.begin(ID, SHAPE, 1_001)).toMatchObject({ state: "running" });
    await alive.complete(second, OUTCOME, 1_002);
    await expect(dead.complete(first, OUTCOME, 1_003)).rejects.toThrow(LostClaimError);
  });

  it("renew thousands of claims at once, and pass over those that are lost", async () => {
    const bucket = newBucket();
    const one = storeOn({ bucket, leaseMs: 1_000 });
    const other = storeOn({ bucket, connection: await connected(), leaseMs: 1_000 });
    const claims = await Promise.all(Array.from({ length: 2_000 }, (_, i) => begin(one, 0, `${i}`)));
    await begin(other, 1_000, "7");
    await one.renew([...claims, { ...ID, attempt: 1 }], 1_500);
    const states = await Promise.all(claims.map(({ key }) => other.begin({ ...ID, key }, SHAPE, 2_100)));
    expect(states.map(({ state }, i) => (state === "running" ? -1 : i)).filter((i) => i >= 0)).toEqual([7]);
  });
});

describe("an outcome that is over max_payload", () => {
  it("is refused, and the refusal is the outcome of the key", async () => {
    await using small = await startNats();
    const store = storeOn({ connection: await connected(small.url) });
    const claim = await begin(store, 0);
    const refused = store.complete(claim, new Uint8Array(DEFAULT_MAX_PAYLOAD), 0);
    await expect(refused).rejects.toMatchObject({
      code: Code.ResourceExhausted,
      executed: "unknown",
      rawMessage:
        "an outcome of 1048576 bytes is over the max_payload of NATS (1048576 bytes, with headers): raise it, or answer with less",
    });
    const begun = await store.begin(ID, SHAPE, 1);
    expect(begun.state === "done" && decodeOutcome(begun.outcome)).toMatchObject({
      code: Code.ResourceExhausted,
      message: expect.stringContaining("max_payload"),
      refused: false,
      unfinished: false,
    });
    await expect(store.complete(claim, OUTCOME, 1)).rejects.toThrow(LostClaimError);
  });

  it("begins close to it", async () => {
    await using small = await startNats();
    const store = storeOn({ connection: await connected(small.url) });
    const outcome = new Uint8Array(DEFAULT_MAX_PAYLOAD - 400).map((_, i) => i * 7);
    await store.complete(await begin(store, 0), outcome, 0);
    const done = await store.begin(ID, SHAPE, 0);
    expect(done.state === "done" && Buffer.compare(done.outcome, outcome)).toBe(0);
  });

  it("is answered with that error, and the handler runs once", async () => {
    await using small = await startNats({ config: "max_payload: 8KB" });
    let runs = 0;
    const rpc = createServer({
      idempotencyStore: storeOn({ connection: await connected(small.url) }),
      routes: (router) =>
        router.service(EchoService, {
          echo: ({ id }) => ({ id, body: new Uint8Array(10_000 + 0 * ++runs) }),
        }),
    });
    const { url } = await rpc.listen({ port: 0 });
    const connection = connectClient(url);
    onTestFinished(async () => {
      await connection.close();
      await rpc.close();
    });
    const call = () => createClient(EchoService, connection).echo({ id: 1n }, { idempotencyKey: "k" });
    const refusal = { code: Code.ResourceExhausted, rawMessage: expect.stringContaining("answer with less") };
    // Whoever asks first hears that it is unknown whether the handler has run: nothing says more than that it was not kept.
    await expect(call()).rejects.toMatchObject({ ...refusal, executed: "unknown" });
    await expect(call()).rejects.toMatchObject({ ...refusal, executed: "yes" });
    expect(runs).toBe(1);
  });
});

describe("while NATS is away", () => {
  it("begins nothing, and goes on where it was afterwards", async () => {
    await using own = await startNats();
    const connection = await connected(own.url);
    const store = storeOn({ connection });
    const [done, running] = await Promise.all([begin(store, 0, "done"), begin(store, 0, "running")]);
    await store.complete(done, OUTCOME, 0);
    await own.stop();
    const startedAt = performance.now();
    for (let i = 0; i < 5; i++) {
      await expect(store.begin(ID, SHAPE, 0)).rejects.toThrow(unavailable("no"));
      await sleep(30);
    }
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    const completed = store.complete(running, OUTCOME, 0);
    await sleep(300);
    await own.restart();
    await completed;
    await vi.waitFor(async () => expect((await begin(store, 0)).attempt).toBe(1));
    for (const key of ["done", "running"]) {
      expect(await store.begin({ ...ID, key }, SHAPE, 1)).toMatchObject({ state: "done" });
    }
  });

  it("gives up at once on what was under way when it was lost", async () => {
    await using own = await startNats();
    const store = storeOn({ connection: await connected(own.url) });
    const claim = await begin(store, 0, "first");
    own.pause();
    await sleep(50);
    const begun = expect(store.begin(ID, SHAPE, 0)).rejects.toThrow(unavailable("no"));
    const completed = store.complete(claim, OUTCOME, 0);
    await sleep(50);
    const startedAt = performance.now();
    await own.kill();
    await begun;
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    await own.restart();
    await completed;
    expect(await store.begin({ ...ID, key: "first" }, SHAPE, 1)).toMatchObject({ state: "done" });
  });

  it("knows its own outcome again when the answer to it was lost", async () => {
    const connection = await connected();
    const store = storeOn({ connection });
    const claim = await begin(store, 0);
    const request = connection.request.bind(connection);
    vi.spyOn(connection, "request").mockImplementationOnce(async (...given) => {
      await request(...given);
      throw Object.assign(new Error("timeout"), { name: "TimeoutError" });
    });
    await store.complete(claim, OUTCOME, 0);
    expect(await store.begin(ID, SHAPE, 1)).toMatchObject({ state: "done" });
  });

  it("stops waiting for it when it is closed", async () => {
    await using own = await startNats();
    const store = storeOn({ connection: await connected(own.url) });
    const claim = await begin(store, 0);
    await own.stop();
    const given = [
      expect(store.complete(claim, OUTCOME, 0)).rejects.toThrow(unavailable("unknown")),
      expect(store.renew([claim], 0)).rejects.toThrow(unavailable("unknown")),
    ];
    store.close();
    await Promise.all(given);
    await expect(store.begin(ID, SHAPE, 0)).rejects.toThrow(unavailable("no"));
  });

  it("says so on a server that stores nothing, and on a connection that is closed", async () => {
    await using bare = await startNats({ jetstream: false });
    const connection = await connected(bare.url);
    const store = storeOn({ connection });
    await expect(store.begin(ID, SHAPE, 0)).rejects.toThrow(unavailable("no"));
    await connection.close();
    await expect(store.begin(ID, SHAPE, 0)).rejects.toThrow(unavailable("no"));
    await expect(storeOn({ connection }).begin(ID, SHAPE, 0)).rejects.toThrow(unavailable("no"));
  });
});

describe("on a cluster", () => {
  let nodes: NatsNode[];
  beforeAll(async () => {
    nodes = await startNatsCluster(3);
  });
  afterAll(async () => {
    await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
  });

  /** A store at each node, for the same bucket; when its node is gone it goes to the next. */
  async function storesAtNodes(bucket: string, leaseMs: number): Promise<NatsIdempotencyStore[]> {
    const urls = nodes.map(({ url }) => url);
    return Promise.all(
      urls.map(async (_, index) => {
        const connection = await connected(...urls.slice(index), ...urls.slice(0, index));
        return storeOn({ connection, bucket, replicas: 3, leaseMs });
      }),
    );
  }

  it("gives each claim that has run out to one, and has one end for it", async () => {
    const stores = await storesAtNodes(newBucket(), 1_000);
    const [one, other] = stores as [NatsIdempotencyStore, NatsIdempotencyStore];
    // One key after the other: in a crowd the stores do not meet, and 2.9.10 lets both of two that meet have it.
    for (let i = 0; i < 100; i++) {
      const id = { ...ID, key: String(i) };
      await one.begin(id, SHAPE, 0);
      const found = await Promise.all(stores.map((store) => store.begin(id, SHAPE, 1_000)));
      expect(found.map(({ state }) => state).sort()).toEqual(["new", "running", "running"]);
      const index = found.findIndex(({ state }) => state === "new");
      // It has run out again, while its handler ends.
      const [completed, begun] = await Promise.all([
        stores[index]!.complete(claimed(found[index]!), OUTCOME, 2_000).then(
          () => "completed",
          (error: unknown) => (error instanceof LostClaimError ? "lost" : error),
        ),
        (index === 0 ? other : one).begin(id, SHAPE, 2_000),
      ]);
      expect(`${completed}, ${begun.state}`).toMatch(/^(completed, done|lost, new)$/);
    }
  });

  it("runs each key once although the leader of the bucket is killed", async () => {
    const bucket = newBucket();
    const stores = await storesAtNodes(bucket, 15_000);
    await begin(stores[0]!, Date.now());
    const { streams } = await jetstreamManager(await connected(...nodes.map(({ url }) => url)));
    const { cluster, config } = await streams.info(`KV_${bucket}`);
    expect(config).toMatchObject({ num_replicas: 3, allow_direct: false });
    const leader = nodes[Number(cluster?.leader?.slice("node".length)) - 1]!;
    const { runs, told } = await race(stores, 300, () => leader.kill());
    expect(runs).toEqual(Array(300).fill(1));
    expect(told).toEqual(Array(300).fill(1));
  });

  it("cannot be had on a single server", async () => {
    await expect(storeOn({ replicas: 3 }).begin(ID, SHAPE, 0)).rejects.toThrow(JetStreamApiError);
  });
});

describe("its options", () => {
  it.each([
    [{ connection: undefined as never }, /needs connection: await connect/],
    [{ connection: {} as never }, /needs connection/],
    [{ bucket: "a.b" }, /bucket must be a name/],
    [{ bucket: "" }, /bucket must be a name/],
    [{ leaseMs: 0 }, /leaseMs must be a whole number from 1 /],
    [{ leaseMs: Number.POSITIVE_INFINITY }, /leaseMs/],
    [{ ttlMs: 99, leaseMs: 1 }, /ttlMs must be a whole number from 100 /],
    [{ ttlMs: 10_000 }, /ttlMs must be a whole number from 10001 /],
    [{ ttlMs: Number.NaN }, /ttlMs/],
    [{ replicas: 6 }, /replicas must be a whole number from 1 to 5/],
    [{ storage: "disk" as never }, /storage must be "file" or "memory", not "disk"/],
    [{ ttl: 1 } as never, /has no option "ttl"/],
  ] as [Partial<NatsIdempotencyStoreOptions>, RegExp][])("are checked: %j", (options, message) => {
    expect(() => storeOn(options)).toThrow(message);
  });
});
