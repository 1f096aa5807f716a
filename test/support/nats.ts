// A real nats-server for tests, alone or as a cluster: processes that are stopped, killed, paused and started again.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { basename, delimiter, join } from "node:path";
import { freePorts, guardGroup } from "./proxy-process.js";

/** What a test changes. */
export interface NatsOptions {
  /** Whether it stores anything. Default `true`. */
  readonly jetstream?: boolean;
  /** More lines for its configuration file, such as `max_payload: 8MB`. */
  readonly config?: string;
}

/** A server, which runs from the beginning. Gone with its folder when it is disposed of, and in any case with the test. */
export interface NatsServer extends AsyncDisposable {
  readonly url: string;
  /** The same at every restart. */
  readonly port: number;
  readonly pid: number;
  /** Ends it in peace: SIGTERM. */
  stop(): Promise<void>;
  /** Ends it at once: SIGKILL. */
  kill(): Promise<void>;
  /** It stands still, and its connections stay open: SIGSTOP. Its threads take a moment to stop. */
  pause(): void;
  /** It goes on: SIGCONT. */
  resume(): void;
  /** Starts it again where it was, with what it has stored; stops it first if it runs. */
  restart(): Promise<void>;
}

/** A member of a cluster. */
export interface NatsNode extends NatsServer {
  /** Where it tells about itself. */
  readonly monitorUrl: string;
}

/** Where a nats-server may be that is not on the PATH: Debian's place, and Homebrew's. */
const OTHER_FOLDERS = [
  "/usr/sbin",
  "/usr/local/sbin",
  "/opt/homebrew/bin",
  "/usr/local/bin",
  "/home/linuxbrew/.linuxbrew/bin",
];

/** How long a server may take to listen, and a cluster to agree on a leader. */
const PATIENCE_MS = 30_000;

/** Starts one server, on a free port. */
export async function startNats({ jetstream = true, config = "" }: NatsOptions = {}): Promise<NatsServer> {
  const server = new ServerProcess(undefined, jetstream, config);
  await server.restart();
  return server;
}

/** Starts servers that store together, and waits until they can. */
export async function startNatsCluster(size = 3, { config = "" }: NatsOptions = {}): Promise<NatsNode[]> {
  // Ports are free when they are looked for; when somebody takes one before the server does, others are tried.
  for (let attempt = 1; ; attempt++) {
    const nodes = await clusterNodes(size, config);
    try {
      await Promise.all(nodes.map((node) => node.restart()));
      await natsClusterReady(nodes);
      return nodes;
    } catch (error) {
      await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
      if (attempt === 3 || !/address already in use/.test(String(error))) throw error;
    }
  }
}

/** Waits until all nodes know the same leader, and it knows of all that they are up to date. */
export async function natsClusterReady(nodes: readonly NatsNode[]): Promise<void> {
  await patiently("the cluster has no leader", async () => {
    const metas = await Promise.all(nodes.map(metaOf));
    const leaders = new Set(metas.map((meta) => meta?.leader));
    const peers = metas.find((meta) => meta?.replicas !== undefined)?.replicas ?? [];
    return (
      leaders.size === 1 &&
      Boolean(metas[0]?.leader) &&
      peers.length === nodes.length - 1 &&
      peers.every(({ current, offline }) => current && offline !== true)
    );
  });
}

/** What a node says of the group that all streams are made by; the leader alone lists its peers. */
interface Meta {
  readonly leader?: string;
  readonly replicas?: readonly { readonly current: boolean; readonly offline?: boolean }[];
}

async function metaOf({ monitorUrl }: NatsNode): Promise<Meta | undefined> {
  try {
    const answer = (await (await fetch(`${monitorUrl}/jsz`)).json()) as { readonly meta_cluster?: Meta };
    return answer.meta_cluster;
  } catch {
    // It has ended, or does not listen yet.
    return undefined;
  }
}

async function clusterNodes(size: number, config: string): Promise<ClusterProcess[]> {
  const ports = await freePorts(3 * size);
  const routePorts = ports.slice(0, size);
  const routes = routePorts.map((port) => `nats://127.0.0.1:${port}`).join(", ");
  return routePorts.map((routePort, index) => {
    const [port = 0, monitorPort = 0] = ports.slice(size + 2 * index);
    const lines = [
      config,
      `server_name: node${index + 1}`,
      `http: "127.0.0.1:${monitorPort}"`,
      // A subscriber that stands still must not hold up those who publish.
      'write_deadline: "2s"',
      `cluster { name: hawser, listen: "127.0.0.1:${routePort}", routes: [${routes}] }`,
    ];
    return new ClusterProcess(port, monitorPort, lines.join("\n"));
  });
}

class ServerProcess implements NatsServer {
  readonly #folder = mkdtempSync(join(tmpdir(), "hawser-nats-"));
  readonly #config: string;
  /** `undefined` until it has chosen one. */
  #port: number | undefined;
  #child: ChildProcess | undefined;
  #exit: Promise<unknown> = Promise.resolve();
  #said = "";

  constructor(port: number | undefined, jetstream: boolean, config: string) {
    this.#port = port;
    const store = jetstream ? `jetstream { store_dir: ${JSON.stringify(join(this.#folder, "store"))} }` : "";
    this.#config = `host: 127.0.0.1\nports_file_dir: ${JSON.stringify(this.#folder)}\n${store}\n${config}\n`;
  }

  get port(): number {
    if (this.#port === undefined) throw new Error("nats-server has not started");
    return this.#port;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error("nats-server does not run");
    return this.#child.pid;
  }

  async restart(): Promise<void> {
    await this.stop();
    const file = join(this.#folder, "nats.conf");
    writeFileSync(file, `${this.#config}port: ${this.#port ?? -1}\n`);
    const program = natsServerPath();
    // In a group of its own, for the guard that ends it with this process, however that ends.
    const child = spawn(program, ["-c", file], {
      stdio: ["ignore", "ignore", "pipe"],
      detached: true,
    });
    this.#said = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#said = (this.#said + chunk.toString()).slice(-10_000);
    });
    this.#child = child;
    const callOff = guardGroup(this.pid);
    this.#exit = once(child, "close").then(() => {
      callOff();
      this.#child = undefined;
    });
    const portsFile = join(this.#folder, `${basename(program)}_${this.pid}.ports`);
    await patiently("nats-server does not listen", async () => {
      if (this.#child === undefined) throw new Error(`nats-server has ended:\n${this.#said}`);
      this.#port ??= portIn(portsFile);
      return this.#port !== undefined && (await listens(this.#port));
    });
  }

  async stop(): Promise<void> {
    // Who stands still does not hear that it should end.
    this.resume();
    this.#child?.kill("SIGTERM");
    await this.#exit;
  }

  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#exit;
  }

  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

class ClusterProcess extends ServerProcess implements NatsNode {
  readonly monitorUrl: string;

  constructor(port: number, monitorPort: number, config: string) {
    super(port, true, config);
    this.monitorUrl = `http://127.0.0.1:${monitorPort}`;
  }
}

/** The program that `.ci/setup.ts` has made sure of. */
function natsServerPath(): string {
  const named = process.env["NATS_SERVER_BIN"];
  if (named !== undefined && named !== "") return named;
  for (const folder of [...(process.env["PATH"] ?? "").split(delimiter), ...OTHER_FOLDERS]) {
    const path = join(folder, "nats-server");
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here; the next one may be.
    }
  }
  throw new Error(
    "these tests need nats-server: install the Debian package nats-server (tsx .ci/setup.ts does, as root), or set NATS_SERVER_BIN",
  );
}

/** The port that a server has chosen, once it has written it down whole. */
function portIn(portsFile: string): number | undefined {
  try {
    const { nats } = JSON.parse(readFileSync(portsFile, "utf8")) as { readonly nats: readonly string[] };
    return Number(new URL(nats[0] ?? "").port);
  } catch {
    return undefined;
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

async function patiently(complaint: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`${complaint} after ${PATIENCE_MS / 1_000} s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
