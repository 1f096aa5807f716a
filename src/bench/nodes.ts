// `npm run bench:nodes`: what a second node costs. One client publishes to one node and another is subscribed on the other node,
// over NATS; beside Socket.IO with its cluster adapter. Reports; never fails on a speed.
import { type ChildProcess, fork } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { table } from "table";
import { BenchService } from "../../gen/hawser/bench/v1/bench_pb.js";
import { connect, createClient } from "../client/index.js";
import { median } from "./rows.js";

const HELP = `npm run bench:nodes -- [options]

  --nats URL   a nats-server with JetStream (default: nats://127.0.0.1:4222)
  --rounds N   measurements of each contender, alternating; the median counts (default 3)
  --json FILE  writes all samples as JSON
  --help       this text

Socket.IO takes part when it is installed: npm ci --prefix src/bench/peers`;

/** A connection to a node. */
interface Client {
  publish(body: Uint8Array): Promise<unknown>;
  close(): unknown;
}

/** A deployment of one node or of two. */
interface Contender {
  readonly name: string;
  start(): Promise<{ readonly ports: readonly number[]; readonly child: readonly ChildProcess[] }>;
  open(port: number, onMessage: (body: Uint8Array) => void): Promise<Client>;
}

interface Sample {
  /** From publishing to receiving on the other node, one by one, in microseconds. */
  readonly p50Us: number;
  /** Publications that have arrived at the other node, per second, 256 of them on their way. */
  readonly perSecond: number;
}

const BYTES = 100;
const ONE_BY_ONE = 2_000;
const PIPELINED = 20_000;
const WINDOW = 256;
const PEERS = new URL("./peers/", import.meta.url);

function startChild(script: URL, ...args: string[]): Promise<[readonly number[], ChildProcess]> {
  const child = fork(fileURLToPath(script), args, { execArgv: ["--import", "tsx"] });
  return new Promise((resolve, reject) => {
    child.once("message", (ports) => resolve([ports as number[], child]));
    child.once("exit", (code) => reject(new Error(`${fileURLToPath(script)} ended with ${code}`)));
  });
}

function hawser(name: string, nodes: number, kind: "memory" | "plain" | "history", nats: string): Contender {
  return {
    name,
    async start() {
      const started = await Promise.all(
        Array.from({ length: nodes }, () => startChild(new URL("./node.ts", import.meta.url), kind, nats)),
      );
      return { ports: started.flatMap(([ports]) => ports), child: started.map(([, child]) => child) };
    },
    async open(port, onMessage) {
      const connection = connect(`ws://127.0.0.1:${port}/rpc`);
      await connection.ready();
      const client = createClient(BenchService, connection);
      (async () => {
        for await (const { body } of client.watch({}, { topic: {} })) onMessage(body);
      })().catch(() => undefined);
      return { publish: (body) => client.echo({ body }), close: () => connection.close() };
    },
  };
}

function socketIo(name: string, nodes: number): Contender {
  return {
    name,
    async start() {
      const [ports, child] = await startChild(new URL("socket-io-nodes.mjs", PEERS), String(nodes));
      return { ports, child: [child] };
    },
    async open(port, onMessage) {
      const path: string = new URL("socket-io-nodes-client.mjs", PEERS).href;
      const { open } = (await import(path)) as {
        open(port: number, onMessage: (body: Uint8Array) => void): Promise<Client>;
      };
      return open(port, onMessage);
    },
  };
}

async function measure(contender: Contender): Promise<Sample> {
  const { ports, child } = await contender.start();
  try {
    let onMessage: (body: Uint8Array) => void = () => undefined;
    const publisher = await contender.open(ports[0] as number, () => undefined);
    const subscriber = await contender.open(ports.at(-1) as number, (body) => onMessage(body));
    const body = new Uint8Array(BYTES);
    const oneByOne = async (count: number) => {
      const times: number[] = [];
      for (let i = 0; i < count; i++) {
        const start = performance.now();
        const arrived = new Promise<void>((resolve) => {
          onMessage = () => resolve();
        });
        await Promise.all([publisher.publish(body), arrived]);
        times.push(performance.now() - start);
      }
      return median(times) * 1000;
    };
    const pipelined = async (count: number) => {
      let sent = 0;
      let received = 0;
      const start = performance.now();
      const arrived = new Promise<void>((resolve) => {
        onMessage = () => {
          if (++received === count) resolve();
        };
      });
      const loop = async () => {
        while (sent < count) {
          sent++;
          await publisher.publish(body);
        }
      };
      await Promise.all([arrived, ...Array.from({ length: WINDOW }, loop)]);
      return (count * 1000) / (performance.now() - start);
    };
    // Until the subscription is known everywhere.
    await new Promise((resolve) => setTimeout(resolve, 500));
    await oneByOne(ONE_BY_ONE / 4);
    await pipelined(PIPELINED / 4);
    const sample = { p50Us: await oneByOne(ONE_BY_ONE), perSecond: await pipelined(PIPELINED) };
    await publisher.close();
    await subscriber.close();
    return sample;
  } finally {
    for (const one of child) one.kill("SIGKILL");
  }
}

const { values } = parseArgs({
  options: {
    nats: { type: "string", default: "nats://127.0.0.1:4222" },
    rounds: { type: "string", default: "3" },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const hasPeers = existsSync(new URL("node_modules", PEERS));
const contenders: readonly Contender[] = [
  hawser("hawser, one node", 1, "memory", values.nats),
  hawser("hawser, two nodes, topic without history", 2, "plain", values.nats),
  hawser("hawser, two nodes, topic with history", 2, "history", values.nats),
  ...(hasPeers
    ? [socketIo("Socket.IO, one node", 1), socketIo("Socket.IO, two nodes, cluster adapter", 2)]
    : []),
];
const samples = new Map<string, Sample[]>(contenders.map(({ name }) => [name, []]));
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const contender of contenders) {
    process.stderr.write(
      `${process.stderr.isTTY ? "\r" : ""}round ${round}: ${contender.name}`
        .padEnd(79)
        .concat(process.stderr.isTTY ? "" : "\n"),
    );
    samples.get(contender.name)?.push(await measure(contender));
  }
}
console.log(
  `\nNode ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}, ${BYTES} B, loopback`,
);
const header = ["contender", "publish to receive, p50 µs", "publications/s, 256 on their way"];
console.log(
  table([
    header,
    ...[...samples].map(([name, all]) => [
      name,
      median(all.map(({ p50Us }) => p50Us)).toFixed(0),
      Math.round(median(all.map(({ perSecond }) => perSecond))).toLocaleString("en"),
    ]),
  ]),
);
if (!hasPeers) console.log("Socket.IO is not installed: npm ci --prefix src/bench/peers");
if (values.json !== undefined) {
  const rows = [...samples].map(([contender, all]) => ({
    scenario: "cross-node-100B",
    contender,
    samples: all,
  }));
  writeFileSync(values.json, `${JSON.stringify({ node: process.version, rows }, null, 2)}\n`);
}
process.exit(0);
