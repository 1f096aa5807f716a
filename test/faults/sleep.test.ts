// A laptop that is closed and opened again: processes stand still for longer than the heartbeat, and links that look well
// are dead, or look dead and are well.
import type { ChildProcess } from "node:child_process";
import { afterEach, expect, it } from "vitest";
import { createFaultProxy, type Direction, type FaultProxy } from "../../src/testing/index.js";
import { ask, kill, startProcess } from "../support/process.js";

interface State {
  readonly sent: number;
  readonly received: number;
  readonly resumes: number;
  readonly losses: number;
  readonly fault: string;
}

const PING = [300, 200];
const SLEEP_MS = 2_000;

const children: ChildProcess[] = [];
let proxy: FaultProxy | undefined;

afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGCONT");
    await kill(child);
  }
  await proxy?.close();
  proxy = undefined;
});

async function start(): Promise<{ server: ChildProcess; client: ChildProcess; link: FaultProxy }> {
  const [server, port] = await startProcess<number>("fault-server.ts", 0, ...PING);
  const link = await createFaultProxy({ target: { port } });
  proxy = link;
  const [client] = await startProcess("stream-client.ts", link.url, ...PING);
  children.push(server, client);
  await progress(client, 20);
  return { server, client, link };
}

/** Waits until so many more numbers have come back. */
async function progress(client: ChildProcess, more: number): Promise<State> {
  const before = await ask<State>(client, "state");
  for (;;) {
    const state = await ask<State>(client, "state");
    if (state.received >= before.received + more || state.fault !== "") return state;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function expectWhole(client: ChildProcess, resumes: number): Promise<void> {
  expect(await progress(client, 50)).toMatchObject({ fault: "", losses: 0 });
  const end = await ask<State>(client, "stop");
  // Each number came back once, in order: the client looks at every one.
  expect(end).toMatchObject({ fault: "", losses: 0, received: end.sent });
  expect(end.resumes).toBeGreaterThanOrEqual(resumes);
}

const sleep = () => new Promise((resolve) => setTimeout(resolve, SLEEP_MS));

it.each([
  ["both sides", ["server", "client"]],
  ["the client", ["client"]],
  ["the server", ["server"]],
] as const)("a stream survives that %s stood still", async (_, who) => {
  const processes = await start();
  for (const name of who) processes[name].kill("SIGSTOP");
  await sleep();
  for (const name of who) processes[name].kill("SIGCONT");
  await expectWhole(processes.client, 0);
});

it.each<Direction>(["up", "down"])(
  "a stream survives a link that is half-open: nothing goes %s",
  async (direction) => {
    const { client, link } = await start();
    link.stall(direction);
    // Nobody tells them: the heartbeat finds out, and the session goes on over another link.
    while ((await ask<State>(client, "state")).resumes === 0)
      await new Promise((resolve) => setTimeout(resolve, 50));
    await expectWhole(client, 1);
  },
);
