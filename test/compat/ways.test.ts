// Links that are not a WebSocket each, between each frozen release and the present code: by HTTP requests, and several in a trunk.
// Where one of the two knows no such way, they must still come together by WebSocket.
import { describe, expect, it, onTestFinished } from "vitest";
import type { Connection } from "../../src/client/index.js";
import { blockedServer, SOON } from "../fallback/blocked.js";
import { exchange, expectedResult } from "../support/echo.js";
import { until } from "../support/until.js";
import { goesBy, itself, pairs, type Release, releases } from "./frozen.js";
import { echoOf } from "./handlers.js";

const quiet = { warn: () => undefined, error: () => undefined };

/** A server of a release whose WebSockets are blocked at first. */
function blocked(theirs: Release) {
  const authenticate = ({ credentials }: { readonly credentials: string }) => ({ id: credentials });
  return blockedServer(
    {
      logger: quiet,
      authenticate,
      routes: (router) => router.service(theirs.EchoService, echoOf(theirs)),
    },
    theirs.createServer,
  );
}

/** Told apart without trusting what a release calls its states. */
function counted(connection: Connection) {
  const counts = { resumed: 0, lost: 0 };
  connection.on("resumed", () => counts.resumed++);
  connection.on("lost", () => counts.lost++);
  return counts;
}

it("only what was frozen before there were links over HTTP and trunks lacks them", () => {
  const without = releases.filter(([, release]) => !goesBy(release, "http") || !goesBy(release, "trunk"));
  for (const [version] of without) expect(version).toBe("0.1.0");
});

const both = (way: "http" | "trunk") =>
  [itself, ...pairs].filter(([, ours, theirs]) => goesBy(ours, way) && goesBy(theirs, way));
const notBoth = (way: "http" | "trunk") =>
  pairs.filter(([, ours, theirs]) => !goesBy(ours, way) || !goesBy(theirs, way));

describe.each(both("http"))("where WebSockets are blocked, %s", (_, ours, theirs) => {
  it("goes over HTTP, and in the midst of a call back to a WebSocket", async () => {
    const server = await blocked(theirs);
    const connection = ours.connect(server.url, {
      ...SOON,
      credentials: "ada",
      fallback: { retryWebSocketMs: 1 },
    });
    onTestFinished(() => connection.close());
    const counts = counted(connection);
    const client = ours.createClient(ours.EchoService, connection);
    expect(await exchange(client, "http")).toEqual(expectedResult("http"));
    const body = new Uint8Array(700_000).map((_, i) => (i % 251) ^ (i >> 10));
    expect(Buffer.compare((await client.echo({ body })).body, body)).toBe(0);
    await expect(client.echo({ name: "fail" })).rejects.toMatchObject({ code: ours.Code.InvalidArgument });
    await until(() => connection.linkKind === "http-stream");
    expect(counts).toEqual({ resumed: 0, lost: 0 });
    const numbers: number[] = [];
    for await (const { number } of client.repeat({ body: new Uint8Array(500), count: 3_000 })) {
      numbers.push(number);
      if (number !== 200) continue;
      server.block = false;
      await until(() => connection.linkKind === "websocket");
    }
    expect(numbers).toEqual(Array.from({ length: 3_000 }, (_, i) => i + 1));
    expect(counts).toEqual({ resumed: 1, lost: 0 });
  });
});

describe.each(notBoth("http"))("where WebSockets are blocked, %s", (_, ours, theirs) => {
  it("waits until one gets through", async () => {
    const server = await blocked(theirs);
    // Not by 403, which was final for clients before there was another way.
    server.block = "first frame";
    // What was frozen without HTTP has no such option.
    const { reconnect = {} } = SOON;
    const options = goesBy(ours, "http") ? SOON : { reconnect };
    const connection = ours.connect(server.url, { ...options, credentials: "ada" });
    onTestFinished(() => connection.close());
    const call = ours.createClient(ours.EchoService, connection).echo({ name: "late" });
    await until(() => server.upgrades > 5);
    // A client that knows HTTP has asked, and has not taken an answer of somebody else for that of a server.
    expect(server.requests.length > 0).toBe(goesBy(ours, "http"));
    expect(server.server.sessions.size).toBe(0);
    server.block = false;
    expect((await call).name).toBe("late");
  });
});

const withTabs = ([, ours]: readonly [string, Release, Release]) => goesBy(ours, "trunk");

describe.each([itself, ...pairs].filter(withTabs))("tabs: %s", (_, ours, theirs) => {
  it("share one WebSocket if the server knows of it, and have one each if not", async () => {
    let sockets = 0;
    const server = theirs.createServer({
      logger: quiet,
      observer: { linkOpened: () => sockets++, linkClosed: () => sockets-- },
      authenticate: ({ credentials }) => ({ id: credentials }),
      routes: (router) => router.service(theirs.EchoService, echoOf(theirs)),
    });
    onTestFinished(() => server.close());
    const { url } = await server.listen({ port: 0, host: "127.0.0.1" });
    const tabs = ["ada", "bo"].map((credentials) => ours.connectTabs(url, { credentials }));
    onTestFinished(async () => {
      for (const tab of tabs) await tab.close();
    });
    await Promise.all(tabs.map((tab) => tab.ready()));
    const shares = goesBy(theirs, "trunk");
    const alone = ["nobody else", "nobody else"];
    expect(tabs.map(({ heldBy }) => heldBy)).toEqual(shares ? ["this tab", "another tab"] : alone);
    // The one that was opened to find out is closed again.
    await until(() => sockets === (shares ? 1 : 2));
    expect([...server.sessions].map(({ identity }) => identity?.id).sort()).toEqual(["ada", "bo"]);
    const both = await Promise.all(
      tabs.map((tab, i) => exchange(ours.createClient(ours.EchoService, tab), `tab ${i}`)),
    );
    expect(both).toEqual([expectedResult("tab 0"), expectedResult("tab 1")]);
  });
});
