// nginx and HAProxy with the configurations of examples/deploy: real processes, other ports and paths.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createConnection } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { selfSigned } from "./certificate.js";
import {
  freePorts,
  ProxyProcess,
  programPath,
  type Replacement,
  replaced,
  scratchFolder,
} from "./proxy-process.js";

/** What a test changes. */
export interface ProxyOptions {
  /** Ports of the three nodes. */
  readonly nodes: readonly number[];
  /** How long a WebSocket may be silent, in seconds. Default: as in the configuration. */
  readonly silenceS?: number;
  /** How long connections outlive a reload, in seconds. Default: as in the configuration. */
  readonly reloadS?: number;
}

/** A proxy that runs. */
export interface RunningProxy {
  readonly url: string;
  readonly port: number;
  /** With TLS, by the certificate {@link RunningProxy.cert}. */
  readonly secureUrl: string;
  readonly cert: string;
  /** Starts anew with the same configuration, as after a change of it. Connections go on for `reloadS`. */
  reload(): Promise<void>;
  stop(): Promise<void>;
}

/** A running HAProxy. */
export interface RunningHaproxy extends RunningProxy {
  /** Sends a command to its socket; the answer. */
  command(line: string): Promise<string>;
}

export type StartProxy<T extends RunningProxy = RunningProxy> = (options: ProxyOptions) => Promise<T>;

const example = (name: string) =>
  readFileSync(new URL(`../../examples/deploy/${name}`, import.meta.url), "utf8");

const nodePorts = ({ nodes }: ProxyOptions): Replacement[] =>
  [8081, 8082, 8083].map((from, index) => ({
    from: `127.0.0.1:${from}`,
    to: `127.0.0.1:${nodes[index] ?? 0}`,
  }));

const seconds = (from: string, value: number | undefined): Replacement[] =>
  value === undefined ? [] : [{ from, to: from.replace(/\d+[sm]/, `${value}s`) }];

/** Ports are free when they are looked for; when somebody else takes one before the proxy does, others are tried. */
async function withFreePorts<T>(count: number, start: (ports: readonly number[]) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePorts(count));
    } catch (error) {
      if (attempt === 3 || !/in use|cannot bind/i.test(String(error))) throw error;
    }
  }
}

const urls = (port: number, securePort: number) => ({
  port,
  url: `ws://127.0.0.1:${port}/rpc`,
  secureUrl: `wss://localhost:${securePort}/rpc`,
});

/** nginx, by `nginx.conf`. */
export const startNginx: StartProxy = (options) =>
  withFreePorts(2, async ([port = 0, securePort = 0]) => {
    const program = programPath("nginx", "NGINX_BIN");
    const scratch = scratchFolder();
    const { cert, key } = selfSigned();
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map((name) => `  ${name}_temp_path ${join(scratch.path, name)};\n`)
      .join("");
    const text = replaced(example("nginx.conf"), [
      ...nodePorts(options),
      ...seconds("proxy_read_timeout 60s;", options.silenceS),
      ...seconds("worker_shutdown_timeout 5m;", options.reloadS),
      { from: "listen 80;", to: `listen 127.0.0.1:${port};` },
      { from: "listen 443 ssl;", to: `listen 127.0.0.1:${securePort} ssl;` },
      { from: "/etc/nginx/hawser/fullchain.pem", to: scratch.write("cert.pem", cert) },
      { from: "/etc/nginx/hawser/privkey.pem", to: scratch.write("key.pem", key) },
      // What only root may do, or needs a machine of its own. Workers write to the folder, which is the user's own.
      { from: "user www-data;\n", to: userInfo().uid === 0 ? "user root;\n" : "" },
      { from: "/run/nginx.pid", to: join(scratch.path, "nginx.pid") },
      { from: "/var/log/nginx/error.log", to: join(scratch.path, "error.log") },
      { from: "/var/log/nginx/access.log", to: join(scratch.path, "access.log") },
      { from: "\nhttp {\n", to: `\nhttp {\n${temporary}` },
    ]);
    const args = [
      "-p",
      scratch.path,
      "-e",
      join(scratch.path, "error.log"),
      "-c",
      scratch.write("nginx.conf", text),
    ];
    const nginx = new ProxyProcess(program, [...args, "-g", "daemon off;"]);
    try {
      await nginx.listening(port);
    } catch (error) {
      scratch.remove();
      throw error;
    }
    return {
      ...urls(port, securePort),
      cert,
      async reload() {
        execFileSync(program, [...args, "-s", "reload"]);
      },
      async stop() {
        await nginx.stop();
        scratch.remove();
      },
    };
  });

/** HAProxy, by `haproxy.cfg`. */
export const startHaproxy: StartProxy<RunningHaproxy> = (options) =>
  withFreePorts(3, async ([port = 0, securePort = 0, peerPort = 0]) => {
    const program = programPath("haproxy", "HAPROXY_BIN");
    const scratch = scratchFolder();
    const { cert, key } = selfSigned();
    const control = join(scratch.path, "admin.sock");
    const text = replaced(example("haproxy.cfg"), [
      ...nodePorts(options),
      ...seconds("timeout tunnel 60s", options.silenceS),
      ...seconds("hard-stop-after 5m", options.reloadS),
      { from: "bind :80\n", to: `bind 127.0.0.1:${port}\n` },
      { from: "bind :443 ", to: `bind 127.0.0.1:${securePort} ` },
      { from: "bind 127.0.0.1:10000", to: `bind 127.0.0.1:${peerPort}` },
      { from: "/run/haproxy/admin.sock", to: control, times: 2 },
      { from: "/etc/haproxy/hawser.pem", to: scratch.write("hawser.pem", cert + key) },
      // What only root may do, or needs a machine of its own.
      { from: "  user haproxy\n  group haproxy\n", to: "" },
    ]);
    const args = ["-db", "-f", scratch.write("haproxy.cfg", text)];
    const processes = [new ProxyProcess(program, args)];
    try {
      await processes[0]?.listening(port);
    } catch (error) {
      scratch.remove();
      throw error;
    }
    return {
      ...urls(port, securePort),
      cert,
      async reload() {
        const old = processes.at(-1);
        const next = new ProxyProcess(program, [...args, "-sf", String(old?.pid)]);
        processes.push(next);
        await next.listening(port);
      },
      async command(line) {
        const socket = createConnection(control);
        socket.end(`${line}\n`);
        return textOf(socket);
      },
      async stop() {
        await Promise.all(processes.map((process) => process.stop()));
        scratch.remove();
      },
    };
  });
