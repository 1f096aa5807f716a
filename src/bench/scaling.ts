// `npm run scaling`: what a deployment takes, from what the benchmarks measured on this machine. Places subscribers on nodes at
// random, and adds up. See docs/SCALING.md.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { table } from "table";
import { seededRandom } from "../testing/index.js";
import type { BenchResult } from "./result.js";

const HELP = `npm run scaling -- --bench FILE [options]

  --bench FILE       what \`npm run bench -- --json FILE\` has written
  --connections N    clients (default 10000000)
  --topics N         topics (default 1000000)
  --subscriptions N  subscriptions of each client (default 5)
  --rate N           publications per second of all topics together (default 100000)
  --bytes N          of a publication (default 100)
  --per-node N       connections that a node takes at most (default 100000)
  --help             this text`;

const { values } = parseArgs({
  options: {
    bench: { type: "string" },
    connections: { type: "string", default: "10000000" },
    topics: { type: "string", default: "1000000" },
    subscriptions: { type: "string", default: "5" },
    rate: { type: "string", default: "100000" },
    bytes: { type: "string", default: "100" },
    "per-node": { type: "string", default: "100000" },
    help: { type: "boolean", default: false },
  },
});
if (values.help || values.bench === undefined) {
  console.log(HELP);
  process.exit(values.help ? 0 : 2);
}

const { rows } = JSON.parse(readFileSync(values.bench, "utf8")) as BenchResult;
const measured = (scenario: string, contender: string, metric: string): number => {
  const row = rows.find(
    (row) => row.scenario === scenario && row.contender === contender && row.metric === metric,
  );
  if (row === undefined) {
    console.error(
      `${values.bench} has no scenario "${scenario}" with ${contender}; it comes from npm run bench -- --scenario ${scenario}`,
    );
    process.exit(2);
  }
  return row.median;
};
const idleBytes = measured("idle-5000", "hawser-authenticated", "rssBytesPerConnection");
const subscribedBytes = measured("subscribed-5000", "hawser", "rssBytesPerConnection");
const deliveryUs = measured("fanout-100B-1000", "hawser", "serverCpuMicrosPerDelivery");

const [connections, topics, subscriptions, rate, bytes, perNode] = [
  values.connections,
  values.topics,
  values.subscriptions,
  values.rate,
  values.bytes,
  values["per-node"],
].map(Number) as [number, number, number, number, number, number];

/** What is sent around a publication: envelope, WebSocket's head, and TCP's and IP's when it is alone in a segment. */
const WIRE_OVERHEAD_BYTES = 17 + 2 + 52;
/** A delivery may take so much of a core; the rest is for calls, heartbeats and bursts. */
const CPU_SHARE = 0.5;

const perTopic = (connections * subscriptions) / topics;
const deliveries = rate * perTopic;
const byConnections = Math.ceil(connections / perNode);
const byCpu = Math.ceil((deliveries * deliveryUs) / 1e6 / CPU_SHARE);
const nodes = Math.max(byConnections, byCpu);

/** Nodes on which a topic has a subscriber, on average: subscribers are placed at random, some topics are looked at. */
function interestedNodes(): number {
  const random = seededRandom(1);
  const looked = 200;
  let sum = 0;
  for (let topic = 0; topic < looked; topic++) {
    const on = new Set<number>();
    // As many as chance gives it, and no more than are needed to fill every node.
    for (let i = 0; i < perTopic && on.size < nodes; i++) on.add(Math.floor(random() * nodes));
    sum += on.size;
  }
  return sum / looked;
}

const interested = interestedNodes();
const subscriptionBytes = Math.max(0, subscribedBytes - idleBytes);
const connectionsPerNode = connections / nodes;
const memory = connectionsPerNode * (idleBytes + subscriptions * subscriptionBytes);
const gib = (value: number) => `${(value / 2 ** 30).toFixed(2)} GiB`;
const mbit = (value: number) => `${((value * 8) / 1e6).toFixed(0)} Mbit/s`;
const number = (value: number) => Math.round(value).toLocaleString("en");

console.log("measured:");
console.log(
  table([
    ["memory of an idle connection", `${number(idleBytes)} B`],
    ["memory of a subscription on top", `${number(subscriptionBytes)} B`],
    ["server CPU of a delivery", `${deliveryUs.toFixed(2)} µs`],
  ]),
);
console.log("what follows:");
console.log(
  table([
    ["subscribers of a topic", number(perTopic)],
    ["deliveries", `${number(deliveries)}/s`],
    ["nodes for the connections", number(byConnections)],
    ["nodes (one core each) for the deliveries", number(byCpu)],
    ["nodes", number(nodes)],
    ["connections of a node", number(connectionsPerNode)],
    ["memory of a node for them", gib(memory)],
    ["traffic of a node to its clients", mbit((deliveries / nodes) * (bytes + WIRE_OVERHEAD_BYTES))],
    ["nodes on which a topic has subscribers", interested.toFixed(1)],
    ["messages into NATS", `${number(rate)}/s`],
    ["messages out of NATS", `${number(rate * interested)}/s`],
    ["subscriptions in NATS", number(topics * interested)],
    ["clients that move when a node is drained within 60 s", `${number(connectionsPerNode / 60)}/s`],
  ]),
);
