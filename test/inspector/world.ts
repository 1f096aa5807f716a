// A server with something going on, for tests of the inspector and for its screenshots.
import { EchoService } from "../../gen/hawser/test/v1/echo_hawser.js";
import { TopicService } from "../../gen/hawser/test/v1/topics_hawser.js";
import { Code, type Connection, connect, createClient, RpcError } from "../../src/client/index.js";
import { inspector } from "../../src/inspector/index.js";
import { createServer, type Server } from "../../src/server/index.js";
import { seededRandom } from "../../src/testing/random.js";
import { echoHandlers } from "../support/echo.js";
import { LatestNotes, Notes, topicRoutes } from "../support/topics.js";

/** A server and its clients. */
export interface World {
  readonly server: Server;
  /** Of the WebSocket. */
  readonly url: string;
  /** Of the inspector's page. */
  readonly page: string;
  readonly clients: readonly Connection[];
  close(): Promise<void>;
}

/** Who comes; "ada" may look. Credentials are names. */
export const PEOPLE: readonly string[] = [
  "ada",
  "grace",
  "edsger",
  "barbara",
  "donald",
  "leslie",
  "tony",
  "radia",
];

/**
 * Starts a server with clients that call it, follow topics and lose their links, as long as it is there.
 *
 * @param busy whether they go on with that by themselves
 */
export async function startWorld(busy: boolean, port = 0): Promise<World> {
  const random = seededRandom(7);
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const server = createServer({
    logger: { warn: () => undefined, error: () => undefined },
    authenticate({ credentials }) {
      if (!PEOPLE.includes(credentials)) throw new RpcError("sign in first", Code.Unauthenticated);
      return { id: credentials };
    },
    inspector: inspector({ allow: ({ id }) => id === "ada" }),
    routes: (router) => {
      topicRoutes(router);
      router.service(EchoService, {
        ...echoHandlers(),
        async echo(request, { signal, requestHeader, responseHeader, responseTrailer }) {
          responseHeader.set("x-seen", requestHeader.get("x-seen") ?? "nothing");
          responseTrailer.set("x-end", "bye");
          if (request.name === "missing") throw new RpcError("there is no such name", Code.NotFound);
          if (request.name === "broken") throw new Error("a bug");
          if (request.name === "later") await pause(2 + random() * 30);
          if (request.name === "never")
            await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
          return { id: request.id, name: request.name, body: request.body };
        },
        async *repeat(request) {
          for (let number = 1; number <= request.count; number++) {
            yield { number, body: request.body };
            // Large numbers stand for streams that nobody waits for the end of.
            if (request.count > 1_000) await pause(50);
          }
        },
      });
    },
  });
  const listening = await server.listen({ port, host: "127.0.0.1" });
  const url = listening.url.replace("localhost", "127.0.0.1");
  const clients = PEOPLE.slice(1).map((credentials) =>
    connect(url, { credentials, reconnect: { initialDelayMs: 20 } }),
  );
  let over = false;
  const quietly = (task: Promise<unknown>) => void task.catch(() => undefined);
  for (const [index, client] of clients.entries()) {
    await client.ready();
    const topics = createClient(TopicService, client);
    const echo = createClient(EchoService, client);
    const follow = async (stream: AsyncIterable<unknown>) => {
      for await (const _ of stream) if (over) return;
    };
    quietly(follow(topics.watch({ name: "market.ACME" })));
    if (index % 2 === 0) quietly(follow(topics.watch({ name: "market.HAWS" })));
    if (index % 3 === 0) quietly(follow(topics.watchLatest({ name: "positions" })));
    if (index % 3 === 1) quietly(follow(echo.repeat({ count: 1_000_000 })));
    const work = async () => {
      while (!over) {
        const roll = random();
        const name = roll < 0.01 ? "broken" : roll < 0.05 ? "missing" : roll < 0.4 ? "later" : "fine";
        await echo.echo({ name, body: new Uint8Array(Math.floor(random() * 400)) }).catch(() => undefined);
        await pause(random() * 20);
      }
    };
    if (busy) quietly(work());
  }
  const publish = async () => {
    for (let number = 1; !over; number++) {
      await server.publish(Notes("market.ACME"), { number, key: "ACME" });
      if (number % 3 === 0) await server.publish(Notes("market.HAWS"), { number, key: "HAWS" });
      if (number % 2 === 0)
        await server.publish(LatestNotes("positions"), { number, key: `ship-${number % 7}` });
      await pause(busy ? 15 : 200);
    }
  };
  quietly(publish());
  return {
    server,
    url,
    page: `http://127.0.0.1:${listening.port}/inspect/`,
    clients,
    async close() {
      over = true;
      for (const client of clients) await client.close();
      await server.close();
    },
  };
}
