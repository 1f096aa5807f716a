// A node of Hawser for `nodes.ts`, in a process of its own. Arguments: "memory", "plain" or "history"; address of NATS. Sends its port.
import { BenchService, WatchResponseSchema } from "../../gen/hawser/bench/v1/bench_hawser.js";
import { natsBroker } from "../nats/index.js";
import { createServer, defineTopic } from "../server/index.js";

const [, , kind = "memory", servers = ""] = process.argv;
const Watched = defineTopic({
  name: `bench.${kind}`,
  schema: WatchResponseSchema,
  ...(kind === "plain" ? {} : { history: { size: 10_000, ttlMs: 600_000 } }),
});
const server = createServer({
  ...(kind === "memory" ? {} : { broker: natsBroker({ servers, prefix: "bench" }) }),
  routes: (router) =>
    router.service(BenchService, {
      watch: () => Watched(),
      // Publishes what it gets, and answers when the broker has it.
      async echo({ id, name, body }, context) {
        await context.publish(Watched(), { body });
        return { id, name };
      },
    }),
});
const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
process.on("disconnect", async () => {
  // The nodes of the next measurement would wait for one that is gone without a word.
  await server.close();
  process.exit(0);
});
process.send?.([port]);
