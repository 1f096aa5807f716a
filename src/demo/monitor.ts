import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, createServer, RpcError } from "../server/index.js";
import { bytes, percent } from "./format.js";
import { createSampler, type Sampler } from "./host/sampler.js";
import { addHostService } from "./service/host-service.js";
import { growLog } from "./service/log-file.js";
import type { PageFiles } from "./web/bundle.js";
import { createWebServer, isLocal, RPC_PATH } from "./web/web-server.js";

/** The host service and its page, on one port of this machine. */
export interface Monitor {
  readonly port: number;
  /** URL of the page. */
  readonly url: string;
  /** A log for one account: the name under which clients tail it, and where to write it. */
  readonly accountLog: { readonly name: string; readonly path: string };
  /** A line for a log: a reading of now. */
  logLine(): Promise<string>;
  /** From now on the page is served. */
  servePage(files: PageFiles): void;
  /** Ends all sessions and removes the logs. */
  close(): Promise<void>;
}

/** The log that the page follows grows by a line a second. */
const LOG_INTERVAL_MS = 1_000;

/** Silence is noticed sooner than by default, because the account is to end soon. Shared by server and client. */
export const LIVENESS = { pingIntervalMs: 700, pingTimeoutMs: 1_500 } as const;

/**
 * Starts the monitor.
 *
 * @throws Error that says what to do, when the port cannot be had.
 */
export async function startMonitor(port: number): Promise<Monitor> {
  const folder = await mkdtemp(join(tmpdir(), "hawser-demo-"));
  const logs = new Map(["account", "readings"].map((name) => [name, join(folder, `${name}.log`)]));
  const path = (name: string) => logs.get(name) ?? folder;
  const sampler = createSampler();
  const logLine = () => readingLine(sampler);

  const web = createWebServer();
  const rpc = createServer({
    ...LIVENESS,
    routes: (router) => addHostService(router, { sampler, logs }),
    authenticate: ({ headers }) => {
      if (!isLocal(headers)) throw new RpcError("only for pages of this machine", Code.PermissionDenied);
      return { id: "local" };
    },
  });
  rpc.attach(web.http, { path: RPC_PATH });

  try {
    await web.listen(port);
    const growing = await growLog(path("readings"), LOG_INTERVAL_MS, logLine);
    return {
      port: web.port,
      url: web.url,
      accountLog: { name: "account", path: path("account") },
      logLine,
      servePage: web.servePage,
      async close() {
        await rpc.close();
        await web.close();
        await growing.stop();
        await rm(folder, { recursive: true });
      },
    };
  } catch (error) {
    await rpc.close();
    await rm(folder, { recursive: true });
    throw error;
  }
}

async function readingLine(sampler: Sampler): Promise<string> {
  const { load, memory, processes } = await sampler.read(0);
  return [
    new Date().toISOString(),
    `busy=${percent(load?.busy ?? 0)}`,
    `memory=${bytes(memory?.available ?? 0n)}`,
    `processes=${processes?.total ?? 0}`,
  ].join("  ");
}
