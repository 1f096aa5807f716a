// The clients of a deployment, in a process of their own: `nodes.ts` starts it. One publishes on the first node, one is
// subscribed on the last.
import { median, type Sample } from "./rows.js";

/** A connection to a node. */
export interface NodeClient {
  /** Resolves when the node has answered. */
  publish(body: Uint8Array): Promise<unknown>;
  close(): unknown;
}

/** What this process is started with. */
export interface NodesArguments {
  /** URL of the module that exports `open`. */
  readonly module: string;
  readonly ports: readonly number[];
  readonly bodyBytes: number;
}

/** What the module exports. */
export interface NodeClientModule {
  open(port: number, onMessage: (body: Uint8Array) => void): Promise<NodeClient>;
}

const ONE_BY_ONE = 2_000;
const PIPELINED = 20_000;
/** Publications on their way at any time: fewer than a node keeps for a subscriber that is behind, or some would be a gap. */
const WINDOW = 256;
/** Between publications that ask whether the subscription is known everywhere, and until the last of them has arrived. */
const ASK_MS = 50;
const SETTLE_MS = 500;

const { module, ports, bodyBytes } = JSON.parse(process.argv[2] ?? "{}") as NodesArguments;
const { open } = (await import(module)) as NodeClientModule;
let onMessage: (body: Uint8Array) => void = () => undefined;
const publisher = await open(ports[0] as number, () => undefined);
const subscriber = await open(ports.at(-1) as number, (body) => {
  if (body.length !== bodyBytes) throw new Error("another message came");
  onMessage(body);
});
const body = new Uint8Array(bodyBytes);

/** Median time from publishing to receiving, in microseconds. */
async function oneByOne(count: number): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    const arrived = new Promise<void>((resolve) => {
      onMessage = () => resolve();
    });
    await Promise.all([publisher.publish(body), arrived]);
    times.push(performance.now() - start);
  }
  return median(times) * 1_000;
}

/** Publications that have arrived, per second. */
async function pipelined(count: number): Promise<number> {
  let sent = 0;
  let received = 0;
  const waiting: (() => void)[] = [];
  const start = performance.now();
  const arrived = new Promise<void>((resolve) => {
    onMessage = () => {
      if (++received === count) resolve();
      for (const go of waiting.splice(0)) go();
    };
  });
  const loop = async () => {
    while (sent < count) {
      if (sent - received >= WINDOW) {
        await new Promise<void>((resolve) => waiting.push(resolve));
        continue;
      }
      sent++;
      await publisher.publish(body);
    }
  };
  await Promise.all([arrived, ...Array.from({ length: WINDOW }, loop)]);
  return (count * 1_000) / (performance.now() - start);
}

/** Publishes until something arrives: a topic without history keeps nothing for who is not there yet. */
async function subscribed(): Promise<void> {
  let isKnown = false;
  onMessage = () => {
    isKnown = true;
  };
  while (!isKnown) {
    await publisher.publish(body);
    await new Promise((resolve) => setTimeout(resolve, ASK_MS));
  }
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}

await subscribed();
await oneByOne(ONE_BY_ONE / 4);
await pipelined(PIPELINED / 4);
const sample: Sample = {
  p50Micros: await oneByOne(ONE_BY_ONE),
  publicationsPerSecond: await pipelined(PIPELINED),
};
process.send?.(sample);
await publisher.close();
await subscriber.close();
process.exit(0);
