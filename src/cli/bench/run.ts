import { create, type DescMethod, type Message } from "@bufbuild/protobuf";
import type { CallOptions } from "../../rpc/transport.js";
import { EXIT, UsageError } from "../failure.js";
import { messagesFrom } from "../input.js";
import type { SchemaArguments } from "../options.js";
import { findMethod, type MethodTypes, schemaOf } from "../schema/schema.js";
import { connectOptions, dial, type TargetArguments, targetHeaders } from "../target.js";
import type { LoadArguments } from "./arguments.js";
import { callsOf } from "./calls.js";
import { openConnections } from "./connections.js";
import { runLoad } from "./load.js";
import { createProgress } from "./progress.js";
import { type Report, reportOf, reportText } from "./report.js";
import { Tally } from "./tally.js";
import { realTime } from "./world.js";

/** What `hawser bench` is told. */
export interface BenchArguments {
  readonly url: string;
  readonly target: TargetArguments;
  readonly schema: SchemaArguments;
  readonly method: string;
  readonly load: LoadArguments;
}

/**
 * Puts load on a method, and prints what it measured.
 *
 * @param signal ends it early
 * @returns the exit code
 * @throws UsageError or RpcError when there is no load to begin with
 */
export async function runBench(args: BenchArguments, signal: AbortSignal): Promise<number> {
  const { load, target, url } = args;
  const headers = targetHeaders(target);
  // What fails is to be seen, not to be tried again.
  const options = { ...connectOptions(target), retry: false as const };
  const first = await dial(url, options, signal);
  const progress = createProgress(!load.quiet);
  try {
    const types = await findMethod(
      schemaOf(args.schema, async () => first, headers),
      args.method,
    );
    const messages = await readMessages(types, load.data, signal);
    const connections = await openConnections(
      first,
      load.connections,
      url,
      options,
      (open) => progress.connecting(open, load.connections),
      signal,
    );
    try {
      const report = await measure(args, types.method, messages, connections, headers, progress, signal);
      progress.stop();
      process.stdout.write(load.json ? `${JSON.stringify(report)}\n` : reportText(report));
      return exitCode(report);
    } finally {
      await connections.close();
    }
  } finally {
    progress.stop();
    await first.close();
  }
}

async function readMessages(
  types: MethodTypes,
  data: string | undefined,
  signal: AbortSignal,
): Promise<Message[]> {
  const { method, registry } = types;
  const messages: Message[] = [];
  for await (const message of messagesFrom(data ?? "{}", method.input, registry, signal))
    messages.push(message);
  if (messages.length > 0) return messages;
  const takesStream = method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
  if (!takesStream) throw new UsageError(`-d ${data} holds no message`);
  return [create(method.input)];
}

async function measure(
  { load, url }: BenchArguments,
  method: DescMethod,
  messages: readonly Message[],
  connections: Awaited<ReturnType<typeof openConnections>>,
  headers: [string, string][],
  progress: ReturnType<typeof createProgress>,
  signal: AbortSignal,
): Promise<Report> {
  const answersStream = method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
  const options: CallOptions = {
    retry: false,
    ...(headers.length === 0 ? {} : { headers }),
    ...(answersStream ? {} : { timeoutMs: load.timeout }),
  };
  const make = callsOf(method, messages, options);
  const { list } = connections;
  const time = realTime(signal);
  const tally = new Tally();
  progress.running(tally, load.warmUp, load.duration);
  const cpu = process.cpuUsage();
  const start = time.clock();
  await runLoad(
    {
      places: list.length * load.inFlight,
      rate: load.rate,
      warmUpMs: load.warmUp,
      durationMs: load.duration,
      drainMs: answersStream ? 0 : load.timeout,
    },
    {
      ...time,
      call: (place, onMessage) => make(list[place % list.length] ?? list[0], onMessage),
    },
    tally,
  );
  const elapsedMs = time.clock() - start;
  const { user, system } = process.cpuUsage(cpu);
  const interrupted = signal.aborted;
  time.end();
  return reportOf({
    settings: {
      url,
      method: `${method.parent.typeName}/${method.name}`,
      kind: method.methodKind,
      connections: list.length,
      inFlight: load.inFlight,
      rate: load.rate ?? null,
      warmUpMs: load.warmUp,
    },
    tally,
    durationMs: Math.max(0, Math.min(load.duration, elapsedMs - load.warmUp)),
    interrupted,
    connectionEvents: connections.figures(),
    generatorCpu: elapsedMs === 0 ? 0 : (user + system) / 1_000 / elapsedMs,
  });
}

function exitCode({ interrupted, succeeded, messages }: Report): number {
  if (succeeded === 0 && (messages ?? 0) === 0) return EXIT.failed;
  return interrupted ? EXIT.interrupted : EXIT.ok;
}
