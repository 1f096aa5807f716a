// Clients behind a proxy, which count what becomes of their sessions. All is closed when the test is over.
import { randomUUID } from "node:crypto";
import { onTestFinished } from "vitest";
import { type Connection, type ConnectOptions, connect } from "../../src/client/index.js";
import type { ServerOptions } from "../../src/server/index.js";
import { type Node, startNodes } from "./nodes.js";
import type { ProxyOptions, RunningProxy, StartProxy } from "./proxies.js";

/** Comes back at once. */
export const quick: ConnectOptions = { reconnect: { initialDelayMs: 20, maxDelayMs: 100 } };

/** Has something closed at the end of the test, before all that was there earlier. */
export function closing<T>(thing: T, close: (thing: T) => unknown): T {
  onTestFinished(async () => {
    await close(thing);
  });
  return thing;
}

/** Three nodes behind a proxy. */
export async function behind<T extends RunningProxy>(
  startProxy: StartProxy<T>,
  options: { readonly server?: Partial<ServerOptions>; readonly proxy?: Omit<ProxyOptions, "nodes"> } = {},
): Promise<{ readonly nodes: Node[]; readonly proxy: T }> {
  const nodes = closing(await startNodes(options.server), (started) =>
    Promise.all(started.map(({ server }) => server.close())),
  );
  const started = startProxy({ nodes: nodes.map(({ port }) => port), ...options.proxy });
  return { nodes, proxy: closing(await started, (proxy) => proxy.stop()) };
}

/** A connection and what has become of its sessions. */
export interface Counted {
  readonly connection: Connection;
  resumed: number;
  lost: number;
  /** Attempts that failed, and links that broke. */
  retries: number;
}

export function counted(url: string, options: ConnectOptions = quick): Counted {
  const connection = closing(connect(url, options), (open) => open.close());
  const counts = { connection, resumed: 0, lost: 0, retries: 0 };
  connection.on("resumed", () => counts.resumed++);
  connection.on("lost", () => counts.lost++);
  connection.on("reconnecting", () => counts.retries++);
  return counts;
}

/** So many clients, each with an id of its own in the URL, all connected. */
export async function identified(url: string, count: number): Promise<Counted[]> {
  const clients = Array.from({ length: count }, () => counted(`${url}?client=${randomUUID()}`));
  await Promise.all(clients.map(({ connection }) => connection.ready()));
  return clients;
}
