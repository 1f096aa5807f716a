// A client and a server of the built package, in whatever runtime this runs in: all four kinds, and a call that goes on over
// a link that was cut. What it prints is what came of it. It ends when nothing is left of either.
import { connect, createClient } from "hawser/client";
import { createServer } from "hawser/server";
import { createFaultProxy } from "hawser/testing";
import { EchoService } from "./echo_pb.js";

const routes = (router) =>
  router.service(EchoService, {
    echo: ({ id, name, body }) => ({ id, name, body }),
    async *repeat({ count, body }) {
      for (let number = 1; number <= count; number++) yield { number, body };
    },
    async collect(requests) {
      const numbers = [];
      for await (const { number } of requests) numbers.push(number);
      return { numbers };
    },
    async *converse(requests) {
      for await (const { number, body } of requests) yield { number, body };
    },
  });

async function* upTo(count, before = async (_number) => undefined) {
  for (let number = 1; number <= count; number++) {
    await before(number);
    yield { number };
  }
}

const numbersOf = async (replies) => {
  const numbers = [];
  for await (const { number } of replies) numbers.push(number);
  return numbers;
};

const server = createServer({ routes });
const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
const proxy = await createFaultProxy({ target: { port } });
const connection = connect(proxy.url, { reconnect: { initialDelayMs: 10 } });
const resumed = new Promise((done) => {
  connection.on("resumed", () => done(true));
});
const client = createClient(EchoService, connection);

const body = new Uint8Array(300_000).map((_, index) => index);
const { name, body: echoed } = await client.echo({ name: "hello", body });
const { Bun, Deno } = globalThis;
const result = {
  runtime:
    Bun !== undefined
      ? `bun ${Bun.version}`
      : Deno !== undefined
        ? `deno ${Deno.version.deno}`
        : `node ${process.versions.node}`,
  unary: name,
  large: echoed.length === body.length && echoed.every((byte, index) => byte === body[index]),
  server: await numbersOf(client.repeat({ count: 3 })),
  client: (await client.collect(upTo(3))).numbers,
  // In the middle of the call the link is cut, and the call waits until it is back.
  bidi: await numbersOf(
    client.converse(
      upTo(4, async (number) => {
        if (number !== 3) return;
        proxy.cut("reset");
        await resumed;
      }),
    ),
  ),
  resumed: await resumed,
};
await connection.close();
await server.close();
await proxy.close();
process.stdout.write(`${JSON.stringify(result)}\n`);
