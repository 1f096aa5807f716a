import type { MessageInitShape } from "@bufbuild/protobuf";
import { type TailRequest, type TailResponseSchema, TailState } from "../../../gen/hawser/demo/v1/host_pb.js";
import { Code, RpcError } from "../../index.js";
import { type LogReader, type NumberedLine, openLog } from "./log-file.js";

/**
 * How often the file is asked for more. Asking works on every file system; change notices of the operating system do
 * not, and come late or never on some.
 */
const POLL_MS = 50;

type Response = MessageInitShape<typeof TailResponseSchema>;

/**
 * Answers a Tail call.
 *
 * @param paths Where the logs are, by name. Clients know names only.
 */
export async function* tail(
  requests: AsyncIterable<TailRequest>,
  signal: AbortSignal,
  paths: ReadonlyMap<string, string>,
): AsyncGenerator<Response> {
  const incoming = requests[Symbol.asyncIterator]();
  const { log, lastLines } = await startCommand(incoming);
  const path = paths.get(log);
  if (path === undefined) {
    throw new RpcError(`no log "${log}"; there is ${[...paths.keys()].join(", ") || "none"}`, Code.NotFound);
  }
  const reader = await openLog(path);
  try {
    const commands = listen(incoming, signal);
    yield* follow(reader, commands, lastLines);
  } finally {
    await reader.close();
  }
}

/** What the client has asked for; changes while the call runs. */
interface Commands {
  readonly wanted: "run" | "pause" | "stop";
  /** Resolves at the next command, or after `ms`. */
  wait(ms: number): Promise<void>;
  /** Set when the client broke the rules, or the call ended otherwise. */
  readonly failure: unknown;
}

async function* follow(
  reader: LogReader,
  commands: Commands,
  lastLines: number | undefined,
): AsyncGenerator<Response> {
  let afterLine = 0;
  const status = (state: TailState): Response => ({
    event: { case: "status", value: { state, afterLine: BigInt(afterLine) } },
  });
  const line = ({ number, text }: NumberedLine): Response => {
    afterLine = number;
    return { event: { case: "line", value: { number: BigInt(number), text } } };
  };

  /** Lines that were read and not sent: a pause may come between two of them. */
  let waiting: NumberedLine[] = [];
  if (lastLines !== undefined) ({ waiting, afterLine } = await skipTo(reader, lastLines));
  yield status(TailState.STARTED);
  let paused = false;
  for (;;) {
    if (commands.failure !== undefined) throw commands.failure;
    if (commands.wanted === "stop") break;
    if (paused !== (commands.wanted === "pause")) {
      paused = !paused;
      yield status(paused ? TailState.PAUSED : TailState.RESUMED);
      continue;
    }
    if (!paused && waiting.length === 0) waiting = await reader.read();
    const next = paused ? undefined : waiting.shift();
    if (next !== undefined) yield line(next);
    else await commands.wait(paused ? Number.POSITIVE_INFINITY : POLL_MS);
  }
  do {
    for (const last of waiting) yield line(last);
    waiting = await reader.read();
  } while (waiting.length > 0);
  yield status(TailState.STOPPED);
}

/** Reads up to what is there now, and keeps the last `count` lines. */
async function skipTo(
  reader: LogReader,
  count: number,
): Promise<{ waiting: NumberedLine[]; afterLine: number }> {
  let waiting: NumberedLine[] = [];
  let last = 0;
  for (let lines = await reader.read(); lines.length > 0; lines = await reader.read()) {
    last = lines.at(-1)?.number ?? last;
    waiting = [...waiting, ...lines].slice(-count || Number.POSITIVE_INFINITY);
  }
  return { waiting, afterLine: last - waiting.length };
}

async function startCommand(incoming: AsyncIterator<TailRequest>) {
  const first = await incoming.next();
  if (first.done === true || first.value.command.case !== "start") {
    throw new RpcError("the first message of a Tail must be start", Code.InvalidArgument);
  }
  return first.value.command.value;
}

/** Takes in commands beside the sending of lines. */
function listen(incoming: AsyncIterator<TailRequest>, signal: AbortSignal): Commands {
  let wanted: Commands["wanted"] = "run";
  let failure: unknown;
  let wake: (() => void) | undefined;
  const take = async () => {
    for (;;) {
      const { done, value } = await incoming.next();
      const command = done === true ? "stop" : value.command.case;
      if (command === "pause" || command === "stop") wanted = command;
      else if (command === "resume") wanted = "run";
      else
        throw new RpcError(
          `a running Tail takes pause, resume and stop, not ${command}`,
          Code.InvalidArgument,
        );
      wake?.();
      if (wanted === "stop") return;
    }
  };
  const fail = (reason: unknown) => {
    failure ??= reason;
    wake?.();
  };
  take().catch(fail);
  if (signal.aborted) fail(signal.reason);
  signal.addEventListener("abort", () => fail(signal.reason), { once: true });
  return {
    get wanted() {
      return wanted;
    },
    get failure() {
      return failure;
    },
    wait(ms) {
      return new Promise((resolve) => {
        const timer = Number.isFinite(ms) ? setTimeout(resolve, ms) : undefined;
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        // The call may have ended while the last line was being sent.
        if (failure !== undefined) wake();
      });
    },
  };
}
