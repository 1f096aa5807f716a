// However many sessions there are, and whatever is planned for them: one timer of the platform.
import { expect, test } from "vitest";
import { createServer } from "../../src/server/index.js";
import { echoRoutes } from "../support/echo.js";
import { type RawClient, rawConnect } from "../support/raw.js";

test("300 idle sessions with heartbeats, expiring credentials, ages and idle times share a timer", async () => {
  const server = createServer({
    routes: echoRoutes(),
    authenticate: ({ credentials }) => ({ id: credentials, expiresAt: Date.now() + 3_600_000 }),
    idleTimeoutMs: 3_600_000,
    maxConnectionAgeMs: 3_600_000,
    maxSessionsPerIdentity: 1_000,
  });
  const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  const clients: RawClient[] = [];
  for (let i = 0; i < 300; i++) {
    const client = await rawConnect(`ws://127.0.0.1:${port}/rpc`);
    await client.greet({ credentials: "ada" });
    clients.push(client);
  }
  expect(server.sessions.size).toBe(300);
  // The server's own, and what the test runner may have started meanwhile.
  expect(timers() - before).toBeLessThanOrEqual(3);
  for (const { ws } of clients) ws.terminate();
  await server.close();
});
