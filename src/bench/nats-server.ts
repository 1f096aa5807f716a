import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A nats-server that was started for a run. */
export interface StartedNats {
  readonly url: string;
  stop(): void;
}

/**
 * Starts a nats-server with JetStream on a free port.
 *
 * @returns `undefined` when none is installed, or it does not start.
 */
export async function startNats(): Promise<StartedNats | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "hawser-bench-nats-"));
  const args = ["--addr", "127.0.0.1", "--port", "-1", "--jetstream", "--store_dir", folder];
  // Debian has it where users do not look.
  const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/usr/local/sbin` };
  const server = spawn("nats-server", args, { stdio: ["ignore", "ignore", "pipe"], env });
  const stop = () => {
    server.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  const port = await new Promise<string | undefined>((resolve) => {
    let log = "";
    server.once("error", () => resolve(undefined));
    server.once("exit", () => resolve(undefined));
    server.stderr.on("data", (chunk: Buffer) => {
      log += String(chunk);
      const port = /client connections on \S+:(\d+)/.exec(log)?.[1];
      if (port !== undefined && /Server is ready/.test(log)) resolve(port);
    });
  });
  if (port === undefined) {
    stop();
    return undefined;
  }
  process.once("exit", stop);
  return { url: `nats://127.0.0.1:${port}`, stop };
}
