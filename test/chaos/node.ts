// A node of the chaos test, in a process of its own, to be killed and stopped. Arguments: port, addresses of NATS.
import { ChaosService, WatchResponseSchema } from "../../gen/hawser/chaos/v1/chaos_pb.js";
import { natsBroker } from "../../src/nats/index.js";
import { createServer, defineTopic } from "../../src/server/index.js";

const [, , port = "0", servers = ""] = process.argv;

const Long = defineTopic({
  name: (name: string) => name,
  schema: WatchResponseSchema,
  history: { size: 1_000_000, ttlMs: 3_600_000 },
});
/** Too short for whoever is away for long. */
const Short = defineTopic({
  name: (name: string) => name,
  schema: WatchResponseSchema,
  history: { size: 20, ttlMs: 3_600_000 },
});
const topic = (name: string) => (name.startsWith("short") ? Short(name) : Long(name));

const server = createServer({
  broker: natsBroker({ servers: servers.split(","), replicas: 3, prefix: "chaos" }),
  graceMs: 20_000,
  pingIntervalMs: 2_000,
  pingTimeoutMs: 2_000,
  logger: { warn: () => undefined, error: () => undefined },
  routes: (router) =>
    router.service(ChaosService, {
      watch: ({ topic: name }) => topic(name),
      publish: async ({ topic: name, number, id }, context) => {
        await context.publish(topic(name), { number }, { id });
        return {};
      },
    }),
});
const listening = await server.listen({ port: Number(port), host: "127.0.0.1" });
process.on("disconnect", () => process.exit(0));
process.send?.(listening.port);
