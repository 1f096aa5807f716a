// `npm run chaos -- --minutes 20`: three nodes on three NATS servers, all of which are killed, stopped and started again, with
// 200 subscribers whose links break all the time. Exit 0 only when nothing was lost and nothing came twice.
import { parseArgs } from "node:util";
import { table } from "table";
import { seededRandom } from "../../src/testing/index.js";
import { Chaos, INJECTIONS } from "./chaos.js";

const HELP = `npm run chaos -- [options]

  --minutes N      how long things are broken; fractions too (default 1)
  --subscribers N  default 200
  --seed N         of what is broken when (default: a new one; the order of events still differs from run to run)
  --help           this text`;

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: "string", default: "1" },
        subscribers: { type: "string", default: "200" },
        seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
        help: { type: "boolean", default: false },
      },
    });
    const [minutes, subscribers, seed] = [values.minutes, values.subscribers, values.seed].map(Number) as [
      number,
      number,
      number,
    ];
    if (!(minutes > 0)) throw new Error(`--minutes must be above 0, not ${values.minutes}`);
    if (!Number.isInteger(subscribers) || subscribers < 1)
      throw new Error(`--subscribers must be a whole number from 1 up, not ${values.subscribers}`);
    if (!Number.isInteger(seed)) throw new Error(`--seed must be a whole number, not ${values.seed}`);
    return { minutes, subscribers, seed, help: values.help };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}\n`);
    process.exit(2);
  }
}

const print = (text: string) => process.stdout.write(`${text}\n`);
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const { minutes, subscribers, seed, help } = readArguments();
if (help) {
  print(HELP);
  process.exit(0);
}
const random = seededRandom(seed);
print(`seed ${seed}: ${subscribers} subscribers, ${minutes} minutes`);
const chaos = await Chaos.start(random, subscribers);
const end = performance.now() + minutes * 60_000;
const cutting = setInterval(() => chaos.cut(random() * 0.2), 1_000);
const showing = setInterval(() => {
  const { acknowledged, delivered, faults } = chaos.outcome;
  const left = Math.max(0, Math.round((end - performance.now()) / 1000));
  const line = `${left} s left: ${acknowledged} acknowledged, ${delivered} delivered, ${faults.length} faults`;
  if (process.stderr.isTTY) process.stderr.write(`\r${line.padEnd(79)}\r`);
}, 500);
while (performance.now() < end) {
  await chaos.inject(INJECTIONS[Math.floor(random() * INJECTIONS.length)] ?? "kill a node");
  await sleep(1_000 + random() * 3_000);
}
clearInterval(cutting);
await chaos.settle(60_000);
clearInterval(showing);
const { injected, faults, ...figures } = chaos.outcome;
await chaos.close();
print(table([...Object.entries(figures), ...injected].map(([name, value]) => [name, String(value)])));
for (const fault of faults) print(fault);
print(faults.length === 0 ? "nothing was lost, and nothing came twice" : `${faults.length} faults`);
process.exit(faults.length === 0 ? 0 : 1);
