// One node. Environment: PORT (8080), HOST (all addresses), NODE_NAME (the host's), NATS_URL (nats://127.0.0.1:4222),
// DRAIN_TIMEOUT_MS (10000).

import { natsBroker } from "hawser/nats";
import { createServer } from "hawser/server";
import { type LinkClaims, NODE, routes } from "./counts.js";
import { count } from "./publisher.js";

const { PORT = "8080", HOST, NATS_URL = "nats://127.0.0.1:4222", DRAIN_TIMEOUT_MS = "10000" } = process.env;

const server = createServer({
  // The one difference between a server and a node of many: the broker. Three servers of NATS, and `replicas: 3`, keep what is
  // published when one of them is lost.
  broker: natsBroker({ servers: NATS_URL }),
  // A session is found again by whoever its client says that it is.
  authenticate: ({ credentials }) => ({ id: credentials, claims: { linkNode: NODE } satisfies LinkClaims }),
  trustedProxies: 1,
  routes,
});
// Until NATS is there, this waits, and `/readyz` cannot be reached.
await server.listen({ port: Number(PORT), ...(HOST === undefined ? {} : { host: HOST }) });
console.log(`node ${NODE} is ready`);

const stopping = new AbortController();
const counting = count(server, stopping.signal, (run, number) => {
  // To main.ts, which checks that it arrives.
  process.send?.({ node: NODE, run, number });
});

// Whoever supervises this process wants it to end, and must wait a little longer than DRAIN_TIMEOUT_MS before it kills. A
// second SIGTERM ends the process at once.
process.once("SIGTERM", async () => {
  stopping.abort();
  await counting;
  await server.drain({ timeoutMs: Number(DRAIN_TIMEOUT_MS) });
  process.exit(0);
});
