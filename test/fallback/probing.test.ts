// The way back to a WebSocket, past things that let upgrades through and swallow what comes after: a link over HTTP that works
// is not given up before the WebSocket has carried a packet each way.
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { Detour } from "../../src/client/detour.js";
import { type Connection, createClient } from "../../src/client/index.js";
import type { Server } from "../../src/server/index.js";
import { exchange, expectedResult } from "../support/echo.js";
import { frames, packet } from "../support/frames.js";
import { until } from "../support/until.js";
import { blockedServer, CLIENTS, open } from "./blocked.js";
import { startNginx } from "./nginx.js";
import { startSwallower } from "./swallower.js";

/** A WebSocket is tried soon, then after twice the time, and given up soon. */
const PROBING = { fallback: { retryWebSocketMs: 10 }, handshakeTimeoutMs: 300 };

/** After which times a WebSocket was to be tried. */
function plannedProbes(): () => unknown[] {
  const planned = vi.spyOn(Detour.prototype, "nextProbe");
  onTestFinished(() => planned.mockRestore());
  return () => planned.mock.results.map(({ value }) => value as unknown);
}

/** What a connection tells of its links from now on. */
function watched(connection: Connection): string[] {
  const events: string[] = [];
  connection.on("state", ({ state }) => events.push(state));
  connection.on("resumed", () => events.push("resumed"));
  connection.on("reconnecting", () => events.push("reconnecting"));
  connection.on("lost", () => events.push("lost"));
  return events;
}

/** Sessions that have a link; the one that the first WebSocket began, whose Welcome was swallowed, has none. */
const linked = ({ sessions }: Server) =>
  [...sessions].filter(({ connected }) => connected).map(({ id, linkKind }) => [id, linkKind]);

describe.each(CLIENTS)("%s", (_, connectTo) => {
  test.each(["up", "down"] as const)(
    "behind nginx, and something that swallows what goes %s a WebSocket: calls go on over HTTP while one is tried",
    async (direction) => {
      const planned = plannedProbes();
      const blocked = await blockedServer();
      blocked.block = false;
      const swallower = await startSwallower(blocked.port, direction);
      const nginx = await startNginx(blocked.port, {
        refusesUpgrades: false,
        buffers: false,
        upgradesTo: swallower.port,
      });
      onTestFinished(() => nginx.stop());
      const connection = open(connectTo, `ws://127.0.0.1:${nginx.port}/rpc`, PROBING);
      await connection.ready();
      const { sessionId } = connection;
      // The first WebSocket was the one before HTTP.
      expect([connection.linkKind?.slice(0, 4), swallower.upgrades]).toEqual(["http", 1]);
      const events = watched(connection);
      const client = createClient(EchoService, connection);
      let answeredMeanwhile = 0;
      while (swallower.upgrades < 5 || answeredMeanwhile < 3 || planned().length < 4) {
        const { upgrades } = swallower;
        const isTried = swallower.swallowing > 0;
        expect(await exchange(client, "on and on")).toEqual(expectedResult("on and on"));
        // All of it happened beside one WebSocket, which stood there and carried nothing.
        if (isTried && swallower.swallowing > 0 && swallower.upgrades === upgrades) answeredMeanwhile++;
      }
      expect(planned().slice(0, 4)).toEqual([10, 20, 40, 80]);
      expect(events).toEqual([]);
      expect(linked(blocked.server)).toEqual([[sessionId, connection.linkKind]]);

      swallower.swallows = false;
      await until(() => connection.linkKind === "websocket" && connection.state === "open");
      expect(await exchange(client, "back")).toEqual(expectedResult("back"));
      expect(events).toEqual(["resumed"]);
      expect(linked(blocked.server)).toEqual([[sessionId, "websocket"]]);
    },
  );

  test("a WebSocket that is cut at its first frame: calls go on over HTTP", async () => {
    const planned = plannedProbes();
    const blocked = await blockedServer();
    const connection = open(connectTo, blocked.url, PROBING);
    await connection.ready();
    const events = watched(connection);
    const client = createClient(EchoService, connection);
    blocked.block = "first frame";
    const { upgrades } = blocked;
    while (blocked.upgrades < upgrades + 3 || planned().length < 4)
      expect(await exchange(client, "on and on")).toEqual(expectedResult("on and on"));
    expect(planned().slice(0, 4)).toEqual([10, 20, 40, 80]);
    expect(events).toEqual([]);
  });

  test("a WebSocket that carries an answer and then nothing: HTTP again, and another try much later", async () => {
    const planned = plannedProbes();
    const blocked = await blockedServer();
    const answer = packet(0, frames.pong()).length + 2;
    const swallower = await startSwallower(blocked.port, { downAfter: answer });
    const connection = open(connectTo, `ws://127.0.0.1:${swallower.port}/rpc`, {
      ...PROBING,
      fallback: { retryWebSocketMs: 200 },
    });
    await connection.ready();
    const { sessionId } = connection;
    const events = watched(connection);
    blocked.block = false;
    await until(() => events.includes("resumed"));
    expect(await exchange(createClient(EchoService, connection), "again")).toEqual(expectedResult("again"));
    expect([connection.linkKind?.slice(0, 4), connection.sessionId]).toEqual(["http", sessionId]);
    expect(events).not.toContain("lost");
    expect(planned().at(-1)).toBe(16 * 200);
  });

  test("a connection that is closed while a WebSocket is tried leaves none behind", async () => {
    const blocked = await blockedServer();
    const swallower = await startSwallower(blocked.port, "down");
    const connection = open(connectTo, `ws://127.0.0.1:${swallower.port}/rpc`, PROBING);
    await connection.ready();
    const { upgrades } = swallower;
    blocked.block = false;
    await until(() => swallower.upgrades > upgrades);
    await connection.close();
    await until(() => swallower.open === 0);
    expect(blocked.server.sessions.size).toBe(0);
  });
});
