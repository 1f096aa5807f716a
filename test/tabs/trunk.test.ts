// A tab's host by itself, against a real server: Node has WebSockets, locks, ports and channels as browsers do.
import { afterEach, expect, test } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_hawser.js";
import { CloseCode } from "../../src/base/close.js";
import { createServer, type ServerOptions } from "../../src/server/index.js";
import { connectTabs, createClient, type TabsOptions } from "../../src/tabs/index.js";
import { Line, type PortLike } from "../../src/tabs/line.js";
import { type Lane, type LaneOwner, Trunk } from "../../src/tabs/trunk.js";
import { decodePacket } from "../../src/wire/decode.js";
import { echoRoutes, exchange, expectedResult } from "../support/echo.js";
import { frames, packet } from "../support/frames.js";
import { until } from "../support/until.js";

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(options: Partial<ServerOptions> = {}) {
  const server = createServer({ routes: echoRoutes(), ...options });
  closers.push(() => server.close());
  const { url } = await server.listen({ port: 0, host: "127.0.0.1" });
  return { server, url };
}

function open(url: string): Trunk {
  const nothing = () => undefined;
  const trunk = new Trunk(url, { onOpen: nothing, onUnsupported: nothing, onGone: nothing });
  closers.push(() => trunk.close(1000, ""));
  return trunk;
}

/** A lane, and what it has heard. */
function lane(trunk: Trunk) {
  const heard = { open: false, kinds: [] as string[], written: 0, closed: undefined as number | undefined };
  const owner: LaneOwner = {
    onOpen: () => {
      heard.open = true;
    },
    onPacket: (bytes) => heard.kinds.push(...decodePacket(bytes).frames.map(({ kind }) => kind)),
    onWritten: (bytes) => {
      heard.written += bytes;
    },
    onClose: (code) => {
      heard.closed = code;
    },
  };
  const opened: Lane = trunk.lane(owner);
  return Object.assign(heard, { send: (bytes: Uint8Array) => opened.send(bytes), lane: opened });
}

const hello = packet(0, frames.hello());

test("lanes begin in the order in which they speak, whichever was opened first", async () => {
  const { url } = await serve();
  const trunk = open(url);
  const first = lane(trunk);
  const second = lane(trunk);
  await until(() => first.open && second.open);
  second.send(hello);
  first.send(hello);
  await until(() => first.kinds.includes("welcome") && second.kinds.includes("welcome"));
});

test("a WebSocket on which nobody has heard anything since is dead for all of its lanes", async () => {
  const { url } = await serve();
  const trunk = open(url);
  const [first, second, third] = [lane(trunk), lane(trunk), lane(trunk)];
  await until(() => third.open);
  for (const { send } of [first, second, third]) send(hello);
  await until(() => [first, second, third].every(({ kinds }) => kinds.includes("welcome")));
  // The others have heard something since: it is this lane that is wrong.
  first.lane.close(CloseCode.silent, "");
  expect(trunk.takesLanes).toBe(true);
  third.send(packet(0, frames.ping({ id: 1 })));
  await until(() => third.kinds.includes("pong"));
  third.lane.close(CloseCode.silent, "");
  expect(trunk.takesLanes).toBe(false);
  expect(second.closed).toBe(CloseCode.moved);
});

test("a server that wants other connections gets no more lanes on this one", async () => {
  const { server, url } = await serve();
  const trunk = open(url);
  const [first, second] = [lane(trunk), lane(trunk)];
  await until(() => second.open);
  first.send(hello);
  second.send(hello);
  await until(() => second.kinds.includes("welcome"));
  [...server.sessions][0]!.close(1012, "elsewhere");
  await until(() => first.closed === 1012);
  expect(trunk.takesLanes).toBe(false);
  expect(second.closed).toBe(undefined);
});

test("what was sent is told to be written when the network has taken it", async () => {
  const { url } = await serve();
  const trunk = open(url);
  const only = lane(trunk);
  await until(() => only.open);
  only.send(hello);
  await until(() => only.kinds.includes("welcome"));
  const ping = packet(0, frames.ping({ id: 1 }));
  let sent = hello.length;
  // Less than a step is not told of.
  expect(only.written).toBe(0);
  while (sent < 40_000) {
    only.send(ping);
    sent += ping.length;
    if (sent % 50 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  expect(only.written).toBeGreaterThanOrEqual(32_768 - ping.length);
  expect(only.written).toBeLessThanOrEqual(sent);
});

test("a line breaks when a message is missing, comes twice, or out of order", () => {
  for (const [numbers, heard] of [
    [[1, 2, 3], 3],
    [[1, 3], 1],
    [[1, 1], 1],
    [[2, 1], 0],
  ] as const) {
    const port: PortLike = { postMessage: () => undefined, onmessage: null, close: () => undefined };
    const messages: unknown[] = [];
    let broken = 0;
    new Line(
      port,
      (message) => messages.push(message),
      () => broken++,
    );
    const deliver = port.onmessage as unknown as (event: { data: unknown }) => void;
    for (const n of numbers) deliver({ data: { n, message: n } });
    expect(messages).toHaveLength(heard);
    expect(broken).toBe(heard === numbers.length ? 0 : 1);
  }
});

test("tabs of one process share, and one that closes hands the connection on", async () => {
  let sockets = 0;
  const { server, url } = await serve({ observer: { linkOpened: () => sockets++ } });
  const tabs = [connectTabs(url), connectTabs(url), connectTabs(url, { name: "other" })];
  closers.push(() => Promise.all(tabs.map((tab) => tab.close())));
  const lost: unknown[] = [];
  for (const tab of tabs) tab.on("lost", (event) => lost.push(event));
  await Promise.all(tabs.map((tab) => tab.ready()));
  expect(tabs.map(({ heldBy }) => heldBy)).toEqual(["this tab", "another tab", "this tab"]);
  expect(sockets).toBe(2);
  await tabs[0]!.close();
  expect(await exchange(createClient(EchoService, tabs[1]!), "on")).toEqual(expectedResult("on"));
  expect(tabs[1]!.heldBy).toBe("this tab");
  await until(() => server.sessions.size === 2);
  expect(lost).toEqual([]);
});

test("options are checked when they are given", () => {
  const make = (options: object) => () => connectTabs("ws://127.0.0.1:1/rpc", options as TabsOptions);
  expect(make({ credentialsIn: "subprotocol" })).toThrow('no option "credentialsIn"');
  expect(make({ headers: {} })).toThrow('no option "headers"');
  expect(make({ worker: "worker.js" })).toThrow("worker must be a function");
  expect(make({ name: 5 })).toThrow("name must be a string");
  expect(make({ maxWait: 5 })).toThrow('no option "maxWait"');
  expect(() => connectTabs("rpc")).toThrow("full URL");
});
