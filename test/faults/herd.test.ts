// Five hundred clients whose server dies and comes back: they must not all come at once.
import { once } from "node:events";
import { expect, it } from "vitest";
import { kill, startProcess } from "../support/process.js";

const CLIENTS = 500;
const WINDOW_MS = 100;
/** Of the clients, at most so many plan their return within one window. With full jitter over a second, a tenth is due. */
const MAX_SHARE = 0.2;

interface Return {
  readonly plannedMs: number;
  readonly backMs: number;
}

/** The most numbers that lie within a window. */
function crowd(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  let most = 0;
  let first = 0;
  for (let last = 0; last < sorted.length; last++) {
    while ((sorted[last] as number) - (sorted[first] as number) > WINDOW_MS) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

it("spreads the return of 500 clients after their server was restarted", async () => {
  const [server, port] = await startProcess<number>("fault-server.ts");
  const [clients] = await startProcess("herd-client.ts", `ws://127.0.0.1:${port}/rpc`, CLIENTS);
  const returned = once(clients, "message") as Promise<[readonly Return[]]>;
  await kill(server);
  const [again] = await startProcess("fault-server.ts", port);
  const [returns] = await returned;
  await kill(clients);
  await kill(again);
  const back = returns.map(({ backMs }) => backMs).sort((a, b) => a - b);
  const at = (share: number) => `${Math.round(back[Math.floor((back.length - 1) * share)] as number)} ms`;
  const planned = crowd(returns.map(({ plannedMs }) => plannedMs));
  // biome-ignore lint/suspicious/noConsole: what the run came to.
  console.log(
    `${CLIENTS} clients came back: p10 ${at(0.1)}, p50 ${at(0.5)}, p90 ${at(0.9)}, max ${at(1)}; ` +
      `at most ${planned} planned their first attempt within ${WINDOW_MS} ms, ${crowd(back)} came back within it`,
  );
  expect(returns).toHaveLength(CLIENTS);
  expect(planned).toBeLessThanOrEqual(CLIENTS * MAX_SHARE);
}, 120_000);
