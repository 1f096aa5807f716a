// A server that goes away while a client is being authenticated before it has a link: nothing begins behind its back.
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { createServer } from "../../src/server/index.js";
import { rawPost } from "../fallback/blocked.js";
import { echoRoutes } from "../support/echo.js";
import { until } from "../support/until.js";

/** Status and text of the answer to an upgrade request that is refused; 101 when it is not. */
function upgrade(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(`ws://127.0.0.1:${port}/rpc`, "hawser.v1");
    onTestFinished(() => ws.terminate());
    ws.once("error", reject);
    ws.once("open", () => resolve("101"));
    ws.once("unexpected-response", (_request, response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on("end", () => resolve(`${response.statusCode} ${body}`));
    });
  });
}

async function post(port: number): Promise<string> {
  const { status, body } = await rawPost(port, { "hawser-do": "open" });
  return `${status} ${body.toString()}`;
}

/** A server whose hook answers when the test says so. */
async function serve(attached: boolean) {
  let answer: (identity: { id: string }) => void = () => undefined;
  let asked = false;
  const refused: number[] = [];
  const server = createServer({
    routes: echoRoutes(),
    observer: { refused: ({ status }) => refused.push(status) },
    // A link over HTTP whose client makes no further request ends then.
    pingTimeoutMs: 50,
    authenticateAt: "upgrade",
    authenticate: () => {
      asked = true;
      return new Promise((resolve) => {
        answer = resolve;
      });
    },
  });
  onTestFinished(() => server.close());
  const answered = {
    server,
    refused,
    asked: () => until(() => asked),
    answer: () => answer({ id: "ada" }),
  };
  if (!attached) return { ...answered, port: (await server.listen({ port: 0, host: "127.0.0.1" })).port };
  const http = createHttpServer();
  server.attach(http);
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    http.closeAllConnections();
    http.close();
  });
  return { ...answered, port: (http.address() as AddressInfo).port };
}

describe.each([
  ["a WebSocket", upgrade],
  ["a link over HTTP", post],
] as const)("whoever is being authenticated for %s", (_, knock) => {
  describe.each([
    ["closes", "close"],
    ["drains", "drain"],
  ] as const)("when the server %s", (_, leave) => {
    test.each([
      ["that listens", false],
      ["that is attached", true],
    ] as const)(
      "%s: is turned away at once, and what the hook says then opens nothing",
      async (_, attached) => {
        const { server, port, asked, answer, refused } = await serve(attached);
        const response = knock(port);
        await asked();
        const left = server[leave]();
        expect(await response).toBe("503 the server is going away\n");
        await left;
        answer();
        await new Promise((resolve) => setImmediate(resolve));
        expect(server.sessions.size).toBe(0);
        expect(refused).toEqual([503]);
      },
    );

    // Between the hook's answer and the link are some turns of the microtask queue: the server may go at each of them.
    test.each(Array.from({ length: 12 }, (_, turns) => turns))(
      "%i microtasks after the hook has answered: gets a link that is closed, or none",
      async (turns) => {
        const { server, port, asked, answer } = await serve(false);
        const response = knock(port);
        await asked();
        answer();
        for (let turn = 0; turn < turns; turn++) await undefined;
        const left = server[leave]();
        const answered = await response;
        if (turns === 0) expect(answered).toBe("503 the server is going away\n");
        else expect(answered).toMatch(/^(503 the server is going away|101|200)/);
        await left;
        expect(server.sessions.size).toBe(0);
      },
    );
  });
});
