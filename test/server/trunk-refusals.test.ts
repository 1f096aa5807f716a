// A client that makes a server refuse lane after lane of a trunk, and does not read: what is queued for it has a limit.
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { BroadcastLink, LinkEvents } from "../../src/driver/link.js";
import { Timers } from "../../src/driver/timers.js";
import { createServer, type ServerOptions } from "../../src/server/index.js";
import { resolveServerOptions } from "../../src/server/options.js";
import { Sessions } from "../../src/server/sessions.js";
import { Trunk } from "../../src/server/trunk.js";
import { carryBytes, carryClose, readCarried } from "../../src/wire/trunk.js";
import { echoRoutes } from "../support/echo.js";
import { frames, packet } from "../support/frames.js";
import { until } from "../support/until.js";

const BEHIND = 1024 * 1024;
const HELLO = packet(0, frames.hello());

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A trunk on a virtual clock, and a link that takes what it is given to write, and writes when the test says so. */
function trunkOn(options: Partial<ServerOptions> = {}) {
  const state = {
    now: 0,
    buffered: 0,
    shut: undefined as string | undefined,
    full: undefined as string | undefined,
  };
  const sent: Uint8Array[] = [];
  let closed: { code: number; reason: string } | undefined;
  const link: BroadcastLink = {
    kind: "websocket",
    get bufferedBytes() {
      return state.buffered;
    },
    send: ({ head }) => sent.push(head),
    broadcast: () => expect.fail("nothing is published"),
    cork: () => undefined,
    uncork: () => undefined,
    close: (code, reason) => {
      closed ??= { code, reason };
    },
  };
  const settings = resolveServerOptions({ routes: echoRoutes(), ...options });
  const sessions = new Sessions(settings, new Timers(() => state.now));
  let events: LinkEvents | undefined;
  const trunk = new Trunk(
    sessions,
    (given) => {
      events = given;
      return link;
    },
    { headers: {}, url: "/rpc", remoteAddress: "192.0.2.1" },
    {
      onWelcome: () => undefined,
      whyShut: () => state.shut,
      place: () =>
        state.full === undefined ? { leave: () => undefined } : { status: 429, full: state.full },
    },
  );
  closers.push(async () => {
    events?.onClose(1006, "");
    sessions.close(1001, "the test is over");
  });
  let lane = 0;
  return {
    state,
    trunk,
    closes: () => sent.map((bytes) => readCarried(bytes)).filter(({ kind }) => kind === "closed").length,
    closed: () => closed,
    /** Begins lanes, as long as the link takes anything in. */
    begin(count: number) {
      for (let left = count; left > 0 && closed === undefined; left--)
        events?.onMessage(carryBytes(++lane, HELLO));
    },
    leave: (number: number) => events?.onMessage(carryClose(number, 1000, "")),
  };
}

const cases = [
  ["of maxLanes", { maxLanes: 1 }, {}],
  ["of a server that drains", {}, { shut: "the server is going away" }],
  ["too many connections are open", {}, { full: "too many connections" }],
] as const;

describe.each(cases)("lanes that are refused because %s", (_, options, state) => {
  /** A trunk whose next lane is refused. */
  function refusing() {
    const client = trunkOn(options);
    client.begin(1);
    Object.assign(client.state, state);
    return client;
  }

  test("and answers that are not read: few are queued, then the trunk is cut off", () => {
    const client = refusing();
    client.state.buffered = BEHIND;
    // However slowly they come.
    for (let second = 0; second < 1_000; second++) {
      client.state.now += 1_000;
      client.begin(1);
    }
    expect(client.closed()).toEqual({ code: 4429, reason: "refusals are not read" });
    expect(client.closes()).toBeLessThanOrEqual(20);
  });

  test("faster than any browser has tabs: the trunk is cut off, whether it reads or not", () => {
    const client = refusing();
    client.begin(100_000);
    expect(client.closed()).toMatchObject({ code: 4429, reason: expect.stringContaining("100 lanes") });
    expect(client.closes()).toBeLessThanOrEqual(100);
  });

  test("now and then, on a slow network: each is answered, and the trunk stays", () => {
    const client = refusing();
    for (let second = 0; second < 50; second++) {
      client.state.now += 1_000;
      client.state.buffered = BEHIND;
      client.begin(15);
      client.state.buffered = 0;
      client.begin(15);
    }
    expect(client.closed()).toBeUndefined();
    expect(client.closes()).toBe(50 * 30);
  });
});

test("lanes that begin and are closed for what they say, and closes that are not read: the same", () => {
  const client = trunkOn();
  client.state.buffered = BEHIND;
  for (let second = 0; second < 1_000; second++) {
    client.state.now += 1_000;
    client.begin(1);
    // A second packet before Welcome.
    client.trunk.onMessage(carryBytes(second + 1, HELLO));
  }
  expect(client.closed()).toEqual({ code: 4429, reason: "refusals are not read" });
  expect(client.closes()).toBeLessThanOrEqual(20);
});

test("lanes that are refused and answers that are not read: the trunk is cut off", async () => {
  let refused = 0;
  const server = createServer({ routes: echoRoutes(), maxLanes: 1, observer: { limited: () => refused++ } });
  closers.push(() => server.close());
  const { url } = await server.listen({ port: 0, host: "127.0.0.1" });
  const ws = new WebSocket(url.replace("localhost", "127.0.0.1"), ["hawser.trunk.v1"]);
  closers.push(async () => ws.terminate());
  const gone = new Promise<number>((resolve) => ws.once("close", resolve));
  let heard = 0;
  ws.on("message", () => heard++);
  await new Promise((resolve, reject) => ws.once("open", resolve).once("error", reject));
  ws.send(carryBytes(1, HELLO));
  await until(() => server.sessions.size === 1 && heard > 0);
  ws.pause();
  for (let lane = 2; lane < 50_000; lane++) ws.send(carryBytes(lane, Uint8Array.of()));
  await until(() => refused > 100);
  // It is not heard any more.
  ws.resume();
  expect(await gone).toBe(4429);
  expect(heard).toBeLessThan(300);
  expect(refused).toBeLessThan(300);
});
