// NATS, three nodes, and nginx in front of them: processes of this machine.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child, type ChildEvents } from "./child.js";
import { Guard } from "./guard.js";
import { freePorts, listens, programPath } from "./programs.js";

/** A publication that a node knows to be stored. */
export interface Acknowledged {
  readonly node: string;
  readonly run: string;
  readonly number: number;
}

/** What is told of a cluster. */
export interface ClusterEvents extends ChildEvents {
  acknowledged(publication: Acknowledged): void;
}

/** All processes, running. */
export interface Cluster {
  /** Where clients connect to: nginx. */
  readonly url: string;
  /** In the order of their starting. */
  readonly members: readonly { readonly child: Child; readonly address: string }[];
  readonly nodes: readonly Child[];
  /** nginx goes over to new workers, which cuts all links; sessions stay. */
  cut(): void;
  stop(): Promise<void>;
}

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/**
 * Starts a cluster; resolves when clients may connect.
 *
 * @throws MissingError when a program is missing, Error when one does not start.
 */
export async function startCluster(events: ClusterEvents): Promise<Cluster> {
  const nats = programPath("nats-server", "NATS_SERVER_BIN", "nats-server");
  const nginx = programPath("nginx", "NGINX_BIN", "nginx");
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(nats, nginx, events);
    } catch (error) {
      // Ports are free when they are looked for; when somebody takes one before its process does, others are tried.
      if (attempt === 3 || !/in use/i.test(String(error))) throw error;
    }
  }
}

async function start(nats: string, nginx: string, events: ClusterEvents): Promise<Cluster> {
  const guard = new Guard();
  const [natsPort = 0, proxyPort = 0, ...nodePorts] = await freePorts(5);
  const natsUrl = `nats://127.0.0.1:${natsPort}`;
  const storage = natsChild(nats, natsPort, join(guard.folder, "nats"));
  const nodes = nodePorts.map((port, index) => nodeChild(`node${index + 1}`, port, natsUrl, events));
  const proxy = nginxChild(nginx, proxyPort, nodePorts, guard.folder);
  const children = [storage, ...nodes, proxy].map((options) => new Child(options, guard, events));
  const addresses = [natsUrl, ...nodePorts.map((port) => `127.0.0.1:${port}`), `127.0.0.1:${proxyPort}`];
  const [first, ...others] = children as [Child, ...Child[]];

  const stop = async () => {
    // Nodes want NATS until their end.
    await Promise.allSettled(others.map((child) => child.stop()));
    await first.stop();
    await guard.close();
  };
  try {
    await first.start();
    await Promise.all(others.map((child) => child.start()));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: `ws://127.0.0.1:${proxyPort}/rpc`,
    members: children.map((child, index) => ({ child, address: addresses[index] ?? "" })),
    nodes: others.slice(0, nodes.length),
    cut: () => others.at(-1)?.signal("SIGHUP"),
    stop,
  };
}

function natsChild(program: string, port: number, folder: string) {
  return {
    name: "nats",
    program,
    args: ["-c", file("nats.conf"), "-a", "127.0.0.1", "-p", String(port), "-sd", folder],
    isReady: () => listens(port),
  };
}

function nodeChild(name: string, port: number, natsUrl: string, events: ClusterEvents) {
  return {
    name,
    program: process.execPath,
    args: ["--import", "tsx", file("node.ts")],
    env: { NODE_NAME: name, HOST: "127.0.0.1", PORT: String(port), NATS_URL: natsUrl },
    isReady: async () => {
      try {
        return (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
      } catch {
        return false;
      }
    },
    onMessage: (message: unknown) => events.acknowledged(message as Acknowledged),
  };
}

function nginxChild(program: string, port: number, nodePorts: readonly number[], folder: string) {
  const values: Record<string, string> = { LISTEN: `127.0.0.1:${port}` };
  for (const [index, nodePort] of nodePorts.entries()) values[`NODE${index + 1}`] = `127.0.0.1:${nodePort}`;
  const site = readFileSync(file("nginx.conf.template"), "utf8").replace(
    /\$\{(\w+)\}/g,
    (whole, name: string) => values[name] ?? whole,
  );
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${join(folder, name)};`,
  );
  const text = [
    "daemon off;",
    "worker_processes 1;",
    `pid ${join(folder, "nginx.pid")};`,
    // For cut(): old workers go at once, and their links with them.
    "worker_shutdown_timeout 100ms;",
    "events {}",
    `http { access_log off; ${temporary.join(" ")}\n${site}}`,
  ];
  const path = join(folder, "nginx.conf");
  writeFileSync(path, text.join("\n"));
  return {
    name: "nginx",
    program,
    args: ["-p", folder, "-e", "stderr", "-c", path],
    isReady: () => listens(port),
  };
}
