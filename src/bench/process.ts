// One end of a contender in a process of its own; `run.ts` starts two of these and talks to them.
import { type BenchClient, type BodyKind, type Contender, makeBodies } from "./contender.js";
import { CONTENDERS } from "./contenders.js";
import type { CountingSocket } from "./counting-socket.js";

/** What a client process is asked to do. */
export type Task =
  | { readonly kind: "echo"; readonly calls: number; readonly depth: number }
  | { readonly kind: "push"; readonly messages: number }
  /** Publishes so many messages to all subscribers of {@link Contender.subscribe}, some in each turn of the server's event loop. */
  | {
      readonly kind: "fanOut";
      readonly connections: number;
      readonly messages: number;
      readonly perTurn: number;
      readonly bytes: number;
    }
  /** Opens so many connections more that are subscribed to a topic. */
  | { readonly kind: "watch"; readonly connections: number }
  /** Opens so many connections more, which stay; each makes so many calls. */
  | { readonly kind: "hold"; readonly connections: number; readonly calls: number };

/** What it answers. */
export interface Outcome {
  /** Wall time, in milliseconds. */
  readonly ms: number;
  /** User and system time of the client, in milliseconds. */
  readonly cpuMs: number;
  /** Median time of a call in microseconds; only with one call in flight. */
  readonly p50Us: number | undefined;
}

const [, , role, name = "", port, bodyBytes, bodyKind] = process.argv;
const contender = await CONTENDERS.get(name)?.();
if (contender === undefined) throw new Error(`no contender is called "${name}"`);
if (role === "server") await serve(contender);
else await connect(contender);

const { gc } = globalThis as { gc?: (options: object) => void };

async function serve(contender: Contender): Promise<void> {
  const server = await contender.serve();
  process.on("message", (question: "cpu" | "memory") => {
    if (question === "memory") {
      // As if memory were scarce: what is left is in use, and not merely not yet given back.
      for (let i = 0; i < 3; i++) gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
      process.send?.({ bytes: process.memoryUsage.rss() });
      return;
    }
    const { user, system } = process.cpuUsage();
    process.send?.({ cpuMs: (user + system) / 1000, traffic: server.traffic() });
  });
  process.on("disconnect", () => void server.close().then(() => process.exit(0)));
  process.send?.({ port: server.port });
}

async function connect(contender: Contender): Promise<void> {
  const bodies = makeBodies(Number(bodyBytes), bodyKind as BodyKind);
  const client = await contender.connect(Number(port), bodies);
  const held: BenchClient[] = [];
  const subscribers: CountingSocket[] = [];
  const subscribe = async (connections: number) => {
    for (let i = 0; i < connections; i += 50) {
      const some = Array.from({ length: Math.min(50, connections - i) }, () =>
        contender.subscribe(Number(port)),
      );
      subscribers.push(...(await Promise.all(some)));
    }
  };
  const fanOut = async ({ connections, messages, perTurn, bytes }: Task & { readonly kind: "fanOut" }) => {
    await subscribe(connections - subscribers.length);
    const done = Promise.all(subscribers.map((subscriber) => subscriber.wait(messages)));
    await client.publish(messages, perTurn, bytes);
    await done;
  };
  const hold = async (connections: number, calls: number) => {
    // Some at a time, as the backlog of the listening socket has room for.
    for (let i = 0; i < connections; i += 50) {
      const some = Array.from({ length: Math.min(50, connections - i) }, () =>
        contender.connect(Number(port), bodies),
      );
      held.push(...(await Promise.all(some)));
    }
    if (calls > 0) for (const one of held) await one.echo(calls, 1, undefined);
  };
  process.on("message", (task: Task) => {
    const before = process.cpuUsage();
    const start = performance.now();
    const times = task.kind === "echo" && task.depth === 1 ? new Float64Array(task.calls) : undefined;
    const work =
      task.kind === "echo"
        ? client.echo(task.calls, task.depth, times)
        : task.kind === "push"
          ? client.push(task.messages)
          : task.kind === "fanOut"
            ? fanOut(task)
            : task.kind === "watch"
              ? subscribe(task.connections)
              : hold(task.connections, task.calls);
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
  process.on("disconnect", () => {
    for (const subscriber of subscribers) subscriber.destroy();
    void Promise.all([client, ...held].map((one) => one.close())).then(() => process.exit(0));
  });
  process.send?.({ ready: true });
}
