import type { BenchClient, BenchSubscriber, Contender } from "./contender.js";
import { inGroups } from "./loops.js";
import { makeBodies } from "./payload.js";
import type { Outcome, ProcessArguments, Task, Work } from "./task.js";

/** What a task found out beside its time. */
export type Findings = Pick<Outcome, "perMs" | "latency">;

/** Does what the client process of a contender is asked to do. */
export interface Worker {
  /**
   * @param onReady Called by `recover` as soon as the links may break.
   * @throws Error when the contender cannot do it, or does it wrong.
   */
  perform(task: Task, onReady: () => void): Promise<Findings>;
  close(): Promise<void>;
}

/** Connections that are opened at the same time, where that is not what is measured. */
const GROUP = 50;

/** Opens the connection that does what needs only one. */
export async function createWorker(contender: Contender, given: ProcessArguments): Promise<Worker> {
  const { port = 0, bodyBytes = 0, body = "numbers" } = given;
  const bodies = makeBodies(bodyBytes, body);
  const open = (reconnecting: boolean) => contender.connect(port, bodies, reconnecting);
  const first = await open(false);
  /** The first is among them. */
  const clients: BenchClient[] = [first];
  const held: BenchClient[] = [];
  const subscribers: BenchSubscriber[] = [];

  const subscribe = async (connections: number) => {
    const { subscribe } = contender;
    if (subscribe === undefined) throw new Error("this contender cannot subscribe");
    subscribers.push(...(await inGroups(connections, GROUP, () => subscribe(port))));
  };

  /** Opens what the work needs beside the first connection. */
  const prepare = async (work: Work) => {
    if (work.kind === "echo")
      clients.push(...(await inGroups(work.connections - clients.length, GROUP, () => open(false))));
    if (work.kind === "fanOut" && subscribers.length < work.connections) {
      await subscribe(work.connections - subscribers.length);
      // Until the server has made subscribers of all of them.
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };

  const echo = async (work: Work & { kind: "echo" }, amount: number, times?: Float64Array) => {
    const each = Math.ceil(amount / work.connections);
    await Promise.all(clients.map((client) => client.echo(each, work.depth, times)));
  };

  const fanOut = async (work: Work & { kind: "fanOut" }, amount: number) => {
    const done = Promise.all(subscribers.map((subscriber) => subscriber.wait(amount)));
    await able(first.publish)(amount, work.perTurn, work.bytes);
    await done;
  };

  const perform = async (work: Work, amount: number, times?: Float64Array): Promise<void> => {
    if (work.kind === "echo") return echo(work, amount, times);
    if (work.kind === "push") return able(first.push)(amount);
    if (work.kind === "upload") return able(first.upload)(amount);
    if (work.kind === "converse") return able(first.converse)(amount, work.depth);
    return fanOut(work, amount);
  };

  const warmUp = async (work: Work, ms: number): Promise<Findings> => {
    await prepare(work);
    const end = performance.now() + ms;
    let amount = work.kind === "echo" ? work.connections * work.depth * 2 : 16;
    for (;;) {
      const start = performance.now();
      await perform(work, amount);
      const now = performance.now();
      const perMs = amount / (now - start);
      if (now >= end) return { perMs };
      // Larger steps as it gets faster; the last one is about half of the time, so that its rate means something.
      const rest = (end - now) * perMs;
      amount = Math.max(1, Math.ceil(rest < amount * 4 ? rest : amount * 2));
    }
  };

  const run = async (work: Work, amount: number): Promise<Findings> => {
    const alone = work.kind === "echo" && work.depth === 1 && work.connections === 1;
    const times = alone ? new Float64Array(amount) : undefined;
    await perform(work, amount, times);
    if (times === undefined) return {};
    times.sort();
    const quantile = (share: number) => 1000 * (times[Math.floor(times.length * share)] ?? 0);
    return { latency: { p50: quantile(0.5), p99: quantile(0.99) } };
  };

  const storm = async (connections: number) => {
    const open = () => contender.connect(port, bodies, false);
    const opened = await Promise.all(
      Array.from({ length: connections }, async () => {
        const client = await open();
        await client.echo(1, 1, undefined);
        return client;
      }),
    );
    return opened;
  };

  return {
    async perform(task, onReady) {
      if (task.kind === "warmUp") return warmUp(task.work, task.ms);
      if (task.kind === "run") return run(task.work, task.amount);
      if (task.kind === "watch") await subscribe(task.connections);
      if (task.kind === "hold") {
        held.push(...(await inGroups(task.connections, GROUP, () => open(task.reconnecting))));
        if (task.calls > 0) for (const one of held) await one.echo(task.calls, 1, undefined);
      }
      if (task.kind === "storm") held.push(...(await storm(task.connections)));
      if (task.kind === "recover") {
        const back = Promise.all(held.map((client) => able(client.recovered)()));
        onReady();
        await back;
      }
      return {};
    },
    async close() {
      for (const subscriber of subscribers) subscriber.destroy();
      await Promise.all([...clients, ...held].map((client) => client.close()));
    },
  };
}

function able<Method>(method: Method | undefined): Method {
  if (method === undefined) throw new Error("this contender cannot do that");
  return method;
}
