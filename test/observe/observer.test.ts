// What an observer is told, and that every call that begins has one end.
import { describe, expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import {
  type CallInfo,
  type CallOutcome,
  Code,
  createClient,
  type Observer,
  RpcError,
} from "../../src/client/index.js";
import { memoryIdempotencyStore, type ServerOptions } from "../../src/server/index.js";
import { createPair, type PairOptions } from "../../src/testing/index.js";
import { echoHandlers } from "../support/echo.js";

interface Seen extends CallInfo {
  readonly outcomes: CallOutcome[];
}

/** An observer that keeps everything. */
function watcher() {
  const calls: Seen[] = [];
  const told: string[] = [];
  const observer: Observer = {
    callStarted(call) {
      const outcomes: CallOutcome[] = [];
      calls.push({ ...call, header: call.header, outcomes });
      return { ended: (outcome) => outcomes.push(outcome) };
    },
    callRetried: (name, code) => told.push(`retried ${name} ${code}`),
    linkOpened: ({ side }) => told.push(`${side} link opened`),
    linkClosed: ({ side, sessionId }, { code }) =>
      told.push(`${side} link closed ${code} ${sessionId === undefined ? "" : "of a session"}`),
    session: ({ what }) => told.push(what),
  };
  const ends = (side: "caller" | "handler") =>
    calls
      .filter((call) => call.side === side)
      .map(
        ({ name, outcomes }) =>
          `${name.split("/")[1]} ${outcomes.map(({ code, sent, received }) => `${code}:${sent}/${received}`).join(" and ")}`,
      )
      .sort();
  return { observer, calls, told, ends };
}

function pairOf(routes: Partial<ServerOptions["routes"] & object> = {}, more: Partial<PairOptions> = {}) {
  const server = watcher();
  const client = watcher();
  const pair = createPair({
    ...more,
    server: {
      routes: (router) => router.service(EchoService, { ...echoHandlers(), ...routes }),
      idempotencyStore: memoryIdempotencyStore(),
      logger: { warn: () => undefined, error: () => undefined },
      observer: server.observer,
      ...more.server,
    },
    client: { observer: client.observer, ...more.client },
  });
  return { pair, server, client, echo: createClient(EchoService, pair.connection) };
}

async function* numbers(count: number) {
  for (let number = 1; number <= count; number++) yield { number };
}

const quiet = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    () => undefined,
  );

const drain = async (messages: AsyncIterable<unknown>) => {
  for await (const _ of messages);
};

describe("calls", () => {
  it("of all kinds are counted on both sides", async () => {
    const { pair, server, client, echo } = pairOf();
    const all = [
      echo.echo({ name: "x" }),
      drain(echo.repeat({ count: 3 })),
      echo.collect(numbers(4)),
      drain(echo.converse(numbers(5))),
    ];
    await pair.clock.advance(2_000);
    await Promise.all(all);
    expect(client.ends("caller")).toEqual(["Collect 0:4/1", "Converse 0:5/5", "Echo 0:1/1", "Repeat 0:1/3"]);
    expect(server.ends("handler")).toEqual(["Collect 0:1/4", "Converse 0:5/5", "Echo 0:1/1", "Repeat 0:3/1"]);
    expect(server.calls[0]).toMatchObject({ sessionId: pair.connection.sessionId });
    await pair.close();
    pair.assertFinished();
  });

  it("end once, however they end", async () => {
    const never = () => new Promise<never>(() => undefined);
    const { pair, server, client, echo } = pairOf({
      echo: ({ name }: { name: string }) => {
        if (name === "known") throw new RpcError("no", Code.NotFound);
        if (name === "fault") throw new Error("secret");
        return name === "fine" ? { name } : never();
      },
      repeat: async function* () {
        yield { number: 1 };
        await never();
      },
      collect: () => never(),
    });
    const abort = new AbortController();
    const first = async () => {
      for await (const _ of echo.repeat({ count: 2 })) break;
    };
    const all = [
      quiet(echo.echo({ name: "known" })),
      quiet(echo.echo({ name: "fault" })),
      quiet(echo.echo({ name: "slow" }, { timeoutMs: 500 })),
      quiet(echo.echo({ name: "aborted" }, { signal: abort.signal })),
      quiet(echo.echo({ name: "before" }, { timeoutMs: 0 })),
      quiet(first()),
      quiet(echo.collect(numbers(1))),
    ];
    await pair.clock.advance(100);
    abort.abort();
    await pair.clock.advance(1_000);
    // The rest is lost with the server.
    pair.restartServer();
    await pair.clock.advance(5_000);
    await Promise.all(all);
    expect(client.ends("caller")).toEqual([
      "Collect 14:1/0",
      "Echo 13:1/0",
      "Echo 1:1/0",
      "Echo 4:1/0",
      "Echo 4:1/0",
      "Echo 5:1/0",
      "Repeat 1:1/1",
    ]);
    const ended = server.ends("handler");
    expect(ended).toHaveLength(6);
    for (const end of ended) expect(end).not.toContain("and");
    expect(server.calls.every(({ outcomes }) => outcomes.length === 1)).toBe(true);
    await pair.close();
    pair.assertFinished();
  });

  it("with a key end with their session, though their handlers go on", async () => {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { pair, server, echo } = pairOf({ echo: () => released.then(() => ({})) });
    const call = quiet(echo.echo({ name: "x" }, { idempotencyKey: "k", timeoutMs: 1_000 }));
    await pair.clock.advance(100);
    for (const session of pair.sessions) session.close();
    await pair.clock.advance(100);
    expect(server.ends("handler")).toEqual(["Echo 14:0/1"]);
    release();
    await pair.clock.advance(2_000);
    await call;
    expect(server.ends("handler")).toEqual(["Echo 14:0/1"]);
    await pair.close();
    pair.assertFinished();
  });

  it("with a key end once for each attempt, also those that get the outcome of another", async () => {
    let ran = 0;
    const { pair, server, client, echo } = pairOf({
      echo: ({ name }: { name: string }) => {
        ran++;
        return { name };
      },
    });
    const all = [1, 2, 3].map(() => echo.echo({ name: "x" }, { idempotencyKey: "k" }));
    await pair.clock.advance(1_000);
    await Promise.all(all);
    expect(ran).toBe(1);
    expect(server.ends("handler")).toEqual(["Echo 0:1/1", "Echo 0:1/1", "Echo 0:1/1"]);
    expect(client.ends("caller")).toHaveLength(3);
    await pair.close();
  });

  it("are told of their attempts, and the handler's observer sees each", async () => {
    let attempt = 0;
    const { pair, server, client, echo } = pairOf(
      {
        echo: () => {
          if (++attempt < 3) throw new RpcError("busy", Code.Unavailable);
          return {};
        },
      },
      { client: { retry: { methods: () => ({ retry: { retryableStatusCodes: [Code.Unavailable] } }) } } },
    );
    const call = echo.echo({});
    await pair.clock.advance(20_000);
    await call;
    expect(server.ends("handler")).toEqual(["Echo 0:1/1", "Echo 14:0/1", "Echo 14:0/1"]);
    expect(client.ends("caller")).toEqual(["Echo 0:1/1"]);
    expect(client.told.filter((what) => what.startsWith("retried"))).toEqual(
      Array(2).fill("retried hawser.test.v1.EchoService/Echo 14"),
    );
    await pair.close();
  });
});

describe("links and sessions", () => {
  it("are told of as they come and go", async () => {
    const { pair, server, client } = pairOf();
    await pair.clock.advance(100);
    pair.network.cut();
    await pair.clock.advance(2_000);
    await pair.close();
    expect(server.told).toEqual(["opened", "detached", "resumed", "ended"]);
    expect(client.told.filter((what) => what.startsWith("client"))).toEqual([
      "client link opened",
      "client link closed 1006 of a session",
      "client link opened",
      "client link closed 1000 of a session",
    ]);
  });
});

describe("an observer", () => {
  it("that throws harms nobody", async () => {
    const errors: unknown[] = [];
    const broken: Observer = {
      callStarted: () => ({
        ended: () => {
          throw new Error("observer");
        },
      }),
      session: () => {
        throw new Error("observer");
      },
    };
    const second = watcher();
    const { pair, echo } = pairOf(
      {},
      {
        server: {
          routes: (router) => router.service(EchoService, echoHandlers()),
          observer: [broken, second.observer],
          logger: { warn: () => undefined, error: (...line) => errors.push(line) },
        },
      },
    );
    const call = echo.echo({ name: "x" });
    await pair.clock.advance(100);
    expect((await call).name).toBe("x");
    expect(errors.length).toBeGreaterThanOrEqual(2);
    expect(second.ends("handler")).toEqual(["Echo 0:1/1"]);
    await pair.close();
  });

  it("must be an object", () => {
    expect(() => pairOf({}, { client: { observer: "log" as never } })).toThrow("an observer is an object");
  });
});
