// What the adapter costs: node --import tsx test/connectrpc/bench.ts. Unary calls of 32 bytes, 64 in flight, client and server
// in one process; the figures in docs/connect.md are from here.
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { createClient as createConnectClient, type Interceptor } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import { EchoService } from "../../gen/hawser/test/v1/echo_hawser.js";
import { connect, createClient } from "../../src/client/index.js";
import { connectRoutes, createHawserTransport } from "../../src/connectrpc/index.js";
import { createServer } from "../../src/server/index.js";

const IN_FLIGHT = 64;
const body = new Uint8Array(32);
const impl = { echo: ({ id, body }: { id: bigint; body: Uint8Array }) => ({ id, body }) };
const pass: Interceptor = (next) => (request) => next(request);

async function rate(call: () => Promise<unknown>, forMs: number): Promise<number> {
  let calls = 0;
  const end = performance.now() + forMs;
  const lane = async () => {
    while (performance.now() < end) {
      await call();
      calls++;
    }
  };
  const begun = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  return (calls / (performance.now() - begun)) * 1000;
}

const hawser = createServer({ routes: (router) => router.service(EchoService, impl), reflection: false });
const adapted = createServer({
  routes: connectRoutes((router) => router.service(EchoService, impl)),
  reflection: false,
});
const wrapped = createServer({
  routes: connectRoutes((router) => router.service(EchoService, impl), { interceptors: [pass] }),
  reflection: false,
});
const urls = await Promise.all([hawser, adapted, wrapped].map((server) => server.listen({ port: 0 })));
const [toHawser, toAdapted, toWrapped] = urls.map(({ url }) => connect(url));
if (toHawser === undefined || toAdapted === undefined || toWrapped === undefined)
  throw new Error("unreachable");

const http2 = createHttp2Server(
  connectNodeAdapter({ routes: (router) => void router.service(EchoService, impl) }),
);
await new Promise<void>((done) => http2.listen(0, done));
const baseUrl = `http://localhost:${(http2.address() as AddressInfo).port}`;

const request = { id: 1n, body };
const interceptors = [pass];
const rows: readonly (readonly [string, { echo(message: typeof request): Promise<unknown> }])[] = [
  ["Hawser's client, Hawser's routes", createClient(EchoService, toHawser)],
  ["Connect's client, Hawser's routes", createConnectClient(EchoService, createHawserTransport(toHawser))],
  ["Hawser's client, Connect routes", createClient(EchoService, toAdapted)],
  ["Connect's client, Connect routes", createConnectClient(EchoService, createHawserTransport(toAdapted))],
  ["an interceptor on the server", createConnectClient(EchoService, createHawserTransport(toWrapped))],
  [
    "an interceptor on the client",
    createConnectClient(EchoService, createHawserTransport(toAdapted, { interceptors })),
  ],
  [
    "interceptors on both",
    createConnectClient(EchoService, createHawserTransport(toWrapped, { interceptors })),
  ],
  [
    "Connect over HTTP/2 (connect-node)",
    createConnectClient(EchoService, createConnectTransport({ baseUrl, httpVersion: "2" })),
  ],
];
const best = new Map<string, number>();
for (let round = 0; round < 4; round++) {
  for (const [name, client] of rows) {
    const calls = await rate(() => client.echo(request), round === 0 ? 500 : 1_000);
    if (round > 0) best.set(name, Math.max(best.get(name) ?? 0, calls));
  }
}
for (const [name, calls] of best) {
  process.stdout.write(
    `${name.padEnd(36)} ${Math.round(calls).toLocaleString("en").padStart(9)} calls/s  ${(1e6 / calls).toFixed(1)} µs\n`,
  );
}
process.exit(0);
