// One end of a contender in a process of its own; `run.ts` starts two of these and talks to them.
import type { Contender } from "./contender.js";
import { CONTENDERS } from "./contenders.js";

/** What a client process is asked to do. */
export type Task =
  | { readonly kind: "echo"; readonly calls: number; readonly depth: number }
  | { readonly kind: "push"; readonly messages: number };

/** What it answers. */
export interface Outcome {
  /** Wall time, in milliseconds. */
  readonly ms: number;
  /** User and system time of the client, in milliseconds. */
  readonly cpuMs: number;
  /** Median time of a call in microseconds; only with one call in flight. */
  readonly p50Us: number | undefined;
}

const [, , role, name = "", port, bodyBytes] = process.argv;
const contender = await CONTENDERS.get(name)?.();
if (contender === undefined) throw new Error(`no contender is called "${name}"`);
if (role === "server") await serve(contender);
else await connect(contender);

async function serve(contender: Contender): Promise<void> {
  const server = await contender.serve();
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    process.send?.({ cpuMs: (user + system) / 1000 });
  });
  process.on("disconnect", () => void server.close().then(() => process.exit(0)));
  process.send?.({ port: server.port });
}

async function connect(contender: Contender): Promise<void> {
  const client = await contender.connect(Number(port), Number(bodyBytes));
  process.on("message", (task: Task) => {
    const before = process.cpuUsage();
    const start = performance.now();
    const times = task.kind === "echo" && task.depth === 1 ? new Float64Array(task.calls) : undefined;
    const work =
      task.kind === "echo" ? client.echo(task.calls, task.depth, times) : client.push(task.messages);
    work.then(
      () => {
        const ms = performance.now() - start;
        const { user, system } = process.cpuUsage(before);
        const p50Us = times === undefined ? undefined : 1000 * (times.sort()[times.length >> 1] as number);
        process.send?.({ ms, cpuMs: (user + system) / 1000, p50Us } satisfies Outcome);
      },
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
  process.on("disconnect", () => void client.close().then(() => process.exit(0)));
  process.send?.({ ready: true });
}
