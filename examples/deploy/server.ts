// One node. Environment: PORT (8080), HOST (all addresses), NODE_NAME, DRAIN_TIMEOUT_MS (10000).
import { createServer, type Interceptor } from "hawser/server";
import { routes } from "./routes.js";

const { PORT = "8080", HOST, NODE_NAME = PORT, DRAIN_TIMEOUT_MS = "10000" } = process.env;

/** Tells clients which node has answered. */
const servedBy: Interceptor = (next) => async (request) => {
  const response = await next(request);
  response.header.set("served-by", NODE_NAME);
  return response;
};

const server = createServer({
  interceptors: [servedBy],
  // Behind one proxy, which says in X-Forwarded-For whose address it is: limits and logs go by that. Nobody but the proxy
  // may be able to reach this port.
  trustedProxies: 1,
  routes,
});
await server.listen({ port: Number(PORT), ...(HOST === undefined ? {} : { host: HOST }) });
console.log(`node ${NODE_NAME} is ready`);

// The supervisor (systemd, Kubernetes, docker stop) wants this process to end. It must wait longer than the drain takes
// before it kills: DRAIN_TIMEOUT_MS and a second or two. A second SIGTERM ends the process at once.
process.once("SIGTERM", async () => {
  await server.drain({ timeoutMs: Number(DRAIN_TIMEOUT_MS) });
  process.exit(0);
});
