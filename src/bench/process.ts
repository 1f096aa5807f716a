// One end of a contender in a process of its own; `run.ts` starts two of these and talks to them.
import type { Contender, ContenderModule } from "./contender.js";
import type { Outcome, ProcessArguments, Question, ServerCpu, ServerMemory, Task } from "./task.js";
import { createWorker } from "./worker.js";

const given = JSON.parse(process.argv[2] ?? "{}") as ProcessArguments;
const { create } = (await import(given.module)) as ContenderModule;
const contender = create(given.variant);
if (given.role === "server") await serve(contender);
else await work(contender);

async function serve(contender: Contender): Promise<void> {
  const { gc } = globalThis as { gc?: (options: object) => void };
  const server = await contender.serve();
  process.on("message", (question: Question) => {
    if (question === "cut") return server.cut();
    if (question === "cpu") {
      const { user, system } = process.cpuUsage();
      const rssBytes = process.memoryUsage.rss();
      process.send?.({
        cpuMs: (user + system) / 1000,
        traffic: server.traffic(),
        rssBytes,
      } satisfies ServerCpu);
      return;
    }
    // As if memory were scarce: what is left is in use, and not merely not yet given back.
    for (let i = 0; i < 3; i++) gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
    const { rss, heapUsed, external } = process.memoryUsage();
    process.send?.({ rssBytes: rss, heapBytes: heapUsed, externalBytes: external } satisfies ServerMemory);
  });
  process.on("disconnect", () => {
    // A profile is written when the process ends by itself; no contender may hold that up.
    setTimeout(() => process.exit(0), 2_000).unref();
    void server.close().then(() => process.exit(0));
  });
  process.send?.({ port: server.port });
}

async function work(contender: Contender): Promise<void> {
  const worker = await createWorker(contender, given);
  const onReady = () => process.send?.({ ready: true });
  process.on("message", (task: Task) => {
    const before = process.cpuUsage();
    const start = performance.now();
    worker.perform(task, onReady).then(
      (found) => {
        const ms = performance.now() - start;
        const { user, system } = process.cpuUsage(before);
        process.send?.({ ms, cpuMs: (user + system) / 1000, ...found } satisfies Outcome);
      },
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
  process.on("disconnect", () => {
    setTimeout(() => process.exit(0), 2_000).unref();
    void worker.close().then(() => process.exit(0));
  });
  process.send?.({ ready: true });
}
