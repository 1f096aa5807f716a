import type { BenchClient, Contender } from "../contender.js";
import { create as createWs } from "../contenders/ws.js";
import { makeBodies } from "../payload.js";
import type { Sample } from "../rows.js";
import { measureCodec } from "./codecs.js";

/** Short rounds, one after the other: whatever slows down the machine slows down both sides of a ratio. */
const ROUND_MS = 15;
const ROUNDS = 11;

/** Until code is as fast as it gets. */
const WARM_UP_MS = 300;
const CODEC_WARM_UP_MS = 120;

type Perform = (amount: number) => Promise<void> | void;

/** How fast a contender and the generated codecs are, beside what they are compared with. Both ends run in this process. */
export async function measureRatios(contender: Contender): Promise<Sample> {
  const ws = createWs("");
  const [ours, theirs] = [await open(contender), await open(ws)];
  const small = measureCodec("small");
  const large = measureCodec("large");
  const calls = (client: BenchClient) => (amount: number) => client.echo(amount, 64, undefined);
  const codecRatio = (ours: () => void, byEs: () => void) =>
    ratio(repeated(ours), repeated(byEs), CODEC_WARM_UP_MS);
  return {
    callsToWs: await ratio(calls(ours), calls(theirs), WARM_UP_MS),
    pushToWs: await ratio(pushOf(ours), pushOf(theirs), WARM_UP_MS),
    encodeSmall: await codecRatio(small.encode, small.encodeByEs),
    decodeSmall: await codecRatio(small.decode, small.decodeByEs),
    encodeLarge: await codecRatio(large.encode, large.encodeByEs),
    decodeLarge: await codecRatio(large.decode, large.decodeByEs),
  };
}

async function open(contender: Contender): Promise<BenchClient> {
  const { port } = await contender.serve();
  return contender.connect(port, makeBodies(32, "numbers"), false);
}

function pushOf({ push }: BenchClient): Perform {
  if (push === undefined) throw new Error("this contender cannot push");
  return push;
}

function repeated(once: () => void): Perform {
  return (amount) => {
    for (let i = 0; i < amount; i++) once();
  };
}

/** How many times as fast one is as the other, in rounds that alternate. */
async function ratio(ours: Perform, theirs: Perform, warmUpMs: number): Promise<number> {
  const ourAmount = await warmUp(ours, warmUpMs);
  const theirAmount = await warmUp(theirs, warmUpMs);
  const ourRates: number[] = [];
  const theirRates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    ourRates.push(await rateOf(ours, ourAmount));
    theirRates.push(await rateOf(theirs, theirAmount));
  }
  return undisturbed(ourRates) / undisturbed(theirRates);
}

/** One of the best rounds: whatever else the machine does can only slow them down. */
function undisturbed(rates: readonly number[]): number {
  const [, , third = Number.NaN] = [...rates].sort((a, b) => b - a);
  return third;
}

/** Does it for so long, and returns how much of it makes up a round. */
async function warmUp(perform: Perform, ms: number): Promise<number> {
  const end = performance.now() + ms;
  let amount = 1;
  for (;;) {
    const rate = await rateOf(perform, amount);
    amount = Math.max(1, Math.min(amount * 2, Math.round(rate * ROUND_MS)));
    if (performance.now() >= end) return amount;
  }
}

/** Per millisecond of CPU time, which does not count what other processes take of the machine. */
async function rateOf(perform: Perform, amount: number): Promise<number> {
  const start = process.cpuUsage();
  await perform(amount);
  const { user, system } = process.cpuUsage(start);
  return (1_000 * amount) / (user + system);
}
