// `npm run bench:codecs`: what encoding and decoding cost, with generated codecs and with others, in one process. Contenders
// take turns within each round, so that a machine that slows down slows down all of them. Decoding includes reading every
// field. protobufjs takes part when it is installed: npm ci --prefix src/bench/peers
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { decode, encode } from "hawser/codec";
import { table } from "table";
import { EchoRequestSchema } from "../../gen/hawser/bench/v1/bench_hawser.js";
import { PointsSchema, ProfileSchema, SeriesSchema } from "../../gen/hawser/bench/v1/points_hawser.js";
import { PacketSchema } from "../../gen/hawser/v1/wire_hawser.js";
import { decodePacket } from "../wire/decode.js";
import { encodePacket, PacketEncoder } from "../wire/encode.js";
import type { DataFrame } from "../wire/frame.js";

/** A message to measure with. */
interface Subject<Desc extends DescMessage = DescMessage> {
  readonly name: string;
  readonly schema: Desc;
  readonly init: MessageInitShape<Desc>;
  /** Reads every field, and returns something that depends on them. Takes messages of all contenders. */
  readonly read: (message: MessageShape<Desc>) => number;
  /** At least so many times as fast as protobuf-es: encoding and decoding. */
  readonly aims?: readonly [number, number];
  /** Code that was written for this message. */
  readonly byHand?: Contender;
}

/** One way to encode and to decode. */
interface Contender {
  readonly name: string;
  readonly encode: () => { readonly length: number };
  readonly decode: () => number;
}

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, "..", "..");
const PEERS = join(HERE, "peers", "node_modules");

const subject = <Desc extends DescMessage>(it: Subject<Desc>): Subject => it as unknown as Subject;

/** Its last character: a text may have been put together from parts that are joined when it is looked into. */
const readText = (text: string): number => text.length + text.charCodeAt(text.length - 1);

const points = Array.from({ length: 1_000 }, (_, i) => ({ x: i * 1.1, y: -i / 3, count: i * 7 }));

/** What a busy connection sends: messages of streams, as many as go into a packet. */
const FRAMES: readonly DataFrame[] = Array.from({ length: 16 }, (_, i) => ({
  kind: "data",
  call: 1_001 + 2 * i,
  end: false,
  size: 0,
  headers: undefined,
  resumeToken: "",
  payload: new Uint8Array(60).fill(7),
}));

const callsOf = (frames: readonly { readonly call: number }[]) =>
  frames.reduce((sum, { call }) => sum + call, 0);

/** `src/wire`, which also keeps to limits, and leaves large payloads where they are. */
function envelopeByHand(): Contender {
  const encoder = new PacketEncoder((bytes) => Buffer.allocUnsafeSlow(bytes));
  const bytes = encodePacket({ seq: 77, ack: 78, frames: FRAMES });
  return {
    name: "by hand (src/wire)",
    encode() {
      for (const frame of FRAMES) encoder.add(frame);
      return encoder.finish(77, 78).head;
    },
    decode: () => callsOf(decodePacket(bytes).frames as readonly DataFrame[]),
  };
}

const SUBJECTS: readonly Subject[] = [
  subject({
    name: "small message",
    schema: EchoRequestSchema,
    init: { id: 1_234_567_890n, name: "abcdefghijklmnopqrst", body: new Uint8Array(32).fill(7) },
    read: ({ id, name, body }) => Number(id) + readText(name) + body.length + (body[31] === 7 ? 1 : 0),
    aims: [5, 2.5],
  }),
  subject({
    name: "1,000 points",
    schema: PointsSchema,
    init: { points },
    read(message) {
      let sum = 0;
      for (const { x, y, count } of message.points) sum += x + y + count;
      return sum;
    },
    aims: [8, 5],
  }),
  subject({
    name: "1,000 packed numbers",
    schema: SeriesSchema,
    init: { values: points.map(({ count }) => (count % 300) - 150) },
    read(message) {
      let sum = 0;
      for (const value of message.values) sum += value;
      return sum;
    },
  }),
  subject({
    name: "packet of 16 frames",
    schema: PacketSchema,
    init: {
      seq: 77n,
      ack: 78n,
      frames: FRAMES.map(({ call, payload }) => ({
        kind: { case: "data" as const, value: { call: BigInt(call), payload: payload as Uint8Array } },
      })),
    },
    read: ({ frames }) =>
      frames.reduce((sum, { kind }) => sum + (kind.case === "data" ? Number(kind.value.call) : 0), 0),
    byHand: envelopeByHand(),
  }),
  subject({
    name: "profile",
    schema: ProfileSchema,
    init: {
      id: "b7c1e7a0-2f0e-4f5e-9a53-6f0f0e6f9a11",
      displayName: "Ada Lovelace",
      email: "ada@example.com",
      createdAt: 1_760_000_000_000n,
      home: { x: 51.5, y: -0.1, count: 3 },
      contact: { case: "phone", value: "+44 20 7946 0000" },
      labels: { team: "engine", floor: "2" },
      roles: ["reader", "writer"],
      active: true,
      level: 2,
    },
    read({ id, displayName, email, createdAt, home, contact, labels, roles, active, level }) {
      let sum =
        id.length + displayName.length + (email?.length ?? 0) + Number(createdAt ?? 0) + (home?.x ?? 0);
      sum +=
        (home?.y ?? 0) + (home?.count ?? 0) + readText(String(contact?.value)) + (active ? 1 : 0) + level;
      for (const key of Object.keys(labels)) sum += readText(key) + readText(labels[key] as string);
      for (const role of roles) sum += readText(role);
      return sum;
    },
  }),
];

/** protobufjs' static code, made by its own compiler; `undefined` when it is not installed. */
async function staticCode(): Promise<Record<string, StaticType> | undefined> {
  const compiler = join(PEERS, "protobufjs-cli", "bin", "pbjs");
  if (!existsSync(compiler)) return undefined;
  const folder = join(PEERS, ".hawser");
  mkdirSync(folder, { recursive: true });
  const output = join(folder, "static.mjs");
  const protos = ["bench", "points"].map((name) => join(ROOT, "test/proto/hawser/bench/v1", `${name}.proto`));
  execFileSync(
    process.execPath,
    [compiler, "-t", "static-module", "-w", "es6", "--es6", "-o", output, ...protos],
    {
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  const module = (await import(pathToFileURL(output).href)) as {
    default: { hawser: { bench: { v1: unknown } } };
  };
  return module.default.hawser.bench.v1 as Record<string, StaticType>;
}

/** What protobufjs generates for a message. */
interface StaticType {
  fromObject(object: object): object;
  encode(message: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
}

function contendersOf(
  { schema, init, read, byHand }: Subject,
  types: Record<string, StaticType> | undefined,
): Contender[] {
  const message = create(schema, init);
  const bytes = toBinary(schema, message);
  const plain = plainJson(message);
  const json = JSON.stringify(plain);
  const contenders: Contender[] = [
    {
      name: "hawser",
      encode: () => encode(schema, init),
      decode: () => read(decode(schema, bytes)),
    },
    {
      name: "protobuf-es",
      encode: () => toBinary(schema, create(schema, init)),
      decode: () => read(fromBinary(schema, bytes)),
    },
  ];
  if (byHand !== undefined) contenders.push(byHand);
  const type = types?.[schema.name];
  if (type !== undefined) {
    const object = type.fromObject(protobufjsObject(message) as object);
    contenders.push({
      name: "protobufjs static",
      encode: () => type.encode(object).finish(),
      decode: () => read(type.decode(bytes) as never),
    });
  }
  contenders.push({
    name: "JSON",
    encode: () => JSON.stringify(plain),
    decode: () => read(JSON.parse(json) as never),
  });
  return contenders;
}

/** The message as JSON has it: 64-bit numbers and bytes as texts, made beforehand. */
function plainJson(message: object): unknown {
  return JSON.parse(
    JSON.stringify(message, (_, value: unknown) =>
      typeof value === "bigint"
        ? value.toString()
        : value instanceof Uint8Array
          ? Buffer.from(value).toString("base64")
          : value,
    ),
  );
}

/** The message as protobufjs takes it: 64-bit numbers as texts, which it makes its own of, and no objects for oneofs. */
function protobufjsObject(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(protobufjsObject);
  const object: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    const oneof = member as { case?: string; value?: unknown } | undefined;
    if (typeof oneof === "object" && oneof?.case !== undefined)
      object[oneof.case] = protobufjsObject(oneof.value);
    else if (key !== "$typeName") object[key] = protobufjsObject(member);
  }
  return object;
}

const ROUNDS = 9;
const ROUND_MS = 120;

/** Rounds that do not count: the compiler comes late to functions that run for long and are called seldom. */
const WARM_UP = 3;

let sink = 0;

/** Milliseconds of CPU time that this process has taken, garbage collection included: other processes do not count. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** Operations per second of CPU time, over at least {@link ROUND_MS}. */
function rate(operation: () => number): number {
  let operations = 0;
  let batch = 1;
  const start = cpuMs();
  for (;;) {
    for (let i = 0; i < batch; i++) sink += operation();
    operations += batch;
    const ms = cpuMs() - start;
    if (ms >= ROUND_MS) return (operations / ms) * 1_000;
    // Looks at the clock every few milliseconds.
    if (ms < 4) batch *= 2;
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] as number;
}

function measure(contenders: readonly Contender[]): Map<string, readonly [number, number]> {
  const rates = contenders.map(({ name }) => ({ name, encode: [] as number[], decode: [] as number[] }));
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    contenders.forEach((contender, i) => {
      const encoded = rate(() => contender.encode().length);
      const decoded = rate(contender.decode);
      if (round < 0) return;
      rates[i]?.encode.push(encoded);
      rates[i]?.decode.push(decoded);
    });
  }
  return new Map(rates.map(({ name, encode, decode }) => [name, [median(encode), median(decode)]]));
}

function rowsOf({ name, aims }: Subject, rates: Map<string, readonly [number, number]>): string[][] {
  const ours = rates.get("hawser") as readonly [number, number];
  return [...rates].map(([contender, [encoding, decoding]], i) => {
    const ratios = [ours[0] / encoding, ours[1] / decoding];
    const cells = [encoding, decoding].flatMap((ops, k) => {
      const aim =
        contender === "protobuf-es" ? aims?.[k] : contender.startsWith("protobufjs") && aims ? 1 : undefined;
      const ratio =
        i === 0 ? "" : `${(ratios[k] as number).toFixed(1)}${aim === undefined ? "" : ` (aim ${aim})`}`;
      return [Math.round(ops).toLocaleString("en"), ratio];
    });
    return [i === 0 ? name : "", contender, ...cells];
  });
}

const types = await staticCode();
if (types === undefined) console.log("protobufjs is not installed: npm ci --prefix src/bench/peers\n");
const only = process.argv.slice(2);
const chosen = SUBJECTS.filter(({ name }) => only.length === 0 || only.some((word) => name.includes(word)));
const rows = chosen.flatMap((one) => rowsOf(one, measure(contendersOf(one, types))));
const header = [
  "",
  "",
  "encode, ops/s",
  "hawser is … times as fast",
  "decode, ops/s",
  "hawser is … times as fast",
];
console.log(
  table([header, ...rows], {
    columns: { 2: { alignment: "right" }, 4: { alignment: "right" } },
    drawHorizontalLine: (line, count) => line <= 1 || line === count || rows[line - 1]?.[0] !== "",
  }),
);
console.log(
  `Node ${process.version}; per second of CPU time, medians of ${ROUNDS} rounds of ${ROUND_MS} ms, contenders in turn. Decoding includes reading every field.`,
);
// So that nothing of all this can be left out.
if (Number.isNaN(sink)) console.log("");
