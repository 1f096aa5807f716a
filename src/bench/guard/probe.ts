// Measures one scenario of the guard in a process of its own, and prints what it found as JSON. `run.ts` starts it.
import { getHeapStatistics } from "node:v8";
import WebSocket from "ws";
import type { BenchClient, Contender, ContenderModule } from "../contender.js";
import { makeBodies } from "../payload.js";
import type { Sample } from "../rows.js";
import { measureCodec } from "./codecs.js";
import { installMemorySockets, type MemorySockets } from "./memory-sockets.js";
import type { GuardWork } from "./quantities.js";
import { measureRatios } from "./ratios.js";

/** What a child process is started with. */
export interface ProbeArguments {
  readonly work: GuardWork;
  /** URL of the module of the contender that is measured. */
  readonly module: string;
}

/** Rounds until code is as fast as it gets, then rounds that count. */
const WARM_UP_ROUNDS = 8;
const ROUNDS = 5;

/** Calls that are counted one by one: they all cost the same, so few are enough. */
const COUNTED = 640;

const { work, module } = JSON.parse(process.argv[2] ?? "{}") as ProbeArguments;
const { create } = (await import(module)) as ContenderModule;
const found = await measure(create(""));
// Whatever is still open, such as connections.
process.stdout.write(`${JSON.stringify(found)}\n`, () => process.exit(0));

async function measure(contender: Contender): Promise<Sample> {
  if (work.kind === "ratio") return measureRatios(contender);
  if (work.kind === "codec") {
    const { encode, decode } = measureCodec(work.message);
    const bytesOf = async (once: () => void) => {
      const repeat = async (amount: number) => {
        for (let i = 0; i < amount; i++) once();
      };
      const { heapBytes = 0, bufferBytes = 0 } = await allocated(repeat, work.amount);
      return heapBytes + bufferBytes;
    };
    return { encodeBytes: await bytesOf(encode), decodeBytes: await bytesOf(decode) };
  }
  slowTime();
  const sockets = installMemorySockets();
  const server = await contender.serve();
  const open = (bytes: number) => contender.connect(server.port, makeBodies(bytes, "numbers"), false);
  if (work.kind === "idle") return held(() => open(32), work.amount);
  const client = await open(work.bytes);
  const perform = performer(client, work);
  if (work.kind === "instructions") {
    await perform(work.amount);
    return {};
  }
  return { ...(await allocated(perform, work.amount)), ...(await counted(perform, sockets)) };
}

/** From now on a call takes next to no time, on each machine: what is sent because time has passed is not sent. */
function slowTime(): void {
  let now = performance.now();
  performance.now = () => {
    now += 1e-6;
    return now;
  };
}

function performer(
  client: BenchClient,
  work: GuardWork & { kind: "echo" | "push" | "instructions" },
): (amount: number) => Promise<void> {
  if (work.kind !== "push") return (amount) => client.echo(amount, work.depth, undefined);
  const { push } = client;
  if (push === undefined) throw new Error("this contender cannot push");
  return push;
}

function collectGarbage(): void {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error("the process must be started with --expose-gc");
  gc();
}

/** Bytes allocated for one of these, in a heap that is large enough to hold them all: nothing is collected meanwhile. */
async function allocated(perform: (amount: number) => Promise<void>, amount: number): Promise<Sample> {
  for (let round = 0; round < WARM_UP_ROUNDS; round++) await perform(amount);
  const heap: number[] = [];
  const buffers: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    collectGarbage();
    const heapBefore = getHeapStatistics().used_heap_size;
    const buffersBefore = process.memoryUsage().arrayBuffers;
    await perform(amount);
    heap.push((getHeapStatistics().used_heap_size - heapBefore) / amount);
    buffers.push((process.memoryUsage().arrayBuffers - buffersBefore) / amount);
  }
  return { heapBytes: undisturbed(heap), bufferBytes: undisturbed(buffers) };
}

/** A collection in spite of all makes it look like less, and now and then something is compiled in a round. */
function undisturbed(rounds: readonly number[]): number {
  const [, second = Number.NaN] = [...rounds].sort((a, b) => b - a);
  return second;
}

/** What one of these sends. */
async function counted(
  perform: (amount: number) => Promise<void>,
  { passed }: MemorySockets,
): Promise<Sample> {
  let packets = 0;
  const { emit } = WebSocket.prototype;
  WebSocket.prototype.emit = function (this: WebSocket, ...given) {
    if (given[0] === "message") packets++;
    return Reflect.apply(emit, this, given);
  };
  const before = passed();
  await perform(COUNTED);
  const after = passed();
  WebSocket.prototype.emit = emit;
  return {
    wireBytes: (after.bytes - before.bytes) / COUNTED,
    writes: (after.writes - before.writes) / COUNTED,
    packets: packets / COUNTED,
  };
}

/** What a connection that does nothing holds of the heap, after a first call. */
async function held(open: () => Promise<BenchClient>, amount: number): Promise<Sample> {
  const openOne = async () => {
    const client = await open();
    await client.echo(1, 1, undefined);
    return client;
  };
  const clients: BenchClient[] = [];
  // The first ones bring code and caches along.
  for (let i = 0; i < amount; i++) clients.push(await openOne());
  collectGarbage();
  collectGarbage();
  const before = getHeapStatistics().used_heap_size;
  for (let i = 0; i < amount; i++) clients.push(await openOne());
  collectGarbage();
  collectGarbage();
  const after = getHeapStatistics().used_heap_size;
  if (clients.length !== 2 * amount) throw new Error("connections are missing");
  return { heldBytes: (after - before) / amount };
}
