import type {
  DescMessage,
  DescMethod,
  DescMethodStreaming,
  DescMethodUnary,
  Message,
} from "@bufbuild/protobuf";
import { RpcError } from "../../base/error.js";
import { extraMessage, missingMessage, SingleMessage } from "../../rpc/client.js";
import type { CallOptions, Transport } from "../../rpc/transport.js";
import { EXIT, exitCodeOf } from "../failure.js";
import { messagesFrom, singleMessageFrom } from "../input.js";
import type { SchemaArguments } from "../options.js";
import { createNarrator, errorLines, jsonLine, type Narrator, printLine } from "../output.js";
import { findMethod, type MethodTypes, schemaOf } from "../schema/schema.js";
import { connectOptions, type TargetArguments, targetHeaders, withConnection } from "../target.js";
import type { RequestArguments } from "./arguments.js";

/** What `hawser call` is told. */
export interface CallArguments {
  readonly url: string;
  readonly method: string;
  readonly request: RequestArguments;
  readonly schema: SchemaArguments;
  readonly target: TargetArguments;
}

/**
 * Makes one call, of any kind, and prints what comes back, each message on a line.
 *
 * @param signal cancels it
 * @returns the exit code: eight times the status code of a call that failed
 * @throws UsageError, or RpcError when the call could not be made
 */
export function runCall(args: CallArguments, signal: AbortSignal): Promise<number> {
  const { request, target, url } = args;
  const headers = targetHeaders(target);
  const narrator = createNarrator(request.verbose);
  // The call may be over before the input is.
  const reading = new AbortController();
  signal.addEventListener("abort", () => reading.abort());
  return withConnection(
    url,
    connectOptions(target),
    narrator,
    async (connect) => {
      const types = await findMethod(schemaOf(args.schema, connect, headers), args.method);
      const { method, registry } = types;
      const input = requestOf(types, request.data, reading.signal);
      // Where it is wrong is told when it is its turn; until then it is waited for by nobody.
      if (input instanceof Promise) input.catch(() => undefined);
      const connection = await connect();
      const options: CallOptions = {
        signal,
        headers,
        timeoutMs: request.timeout,
        idempotencyKey: request.key,
      };
      narrator.say(`${method.parent.typeName}/${method.name} (${method.methodKind.replace("_", " ")})`);
      narrator.headers(">", headers);
      const json = { registry, emitDefaults: request.emitDefaults };
      const print = (message: Message) => printLine(jsonLine(method.output, message, json));
      const start = performance.now();
      try {
        await make(connection, method, await input, options, print, narrator);
        narrator.outcome(undefined, performance.now() - start, connection);
        return EXIT.ok;
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        narrator.headers("<", error.metadata);
        narrator.outcome(error, performance.now() - start, connection);
        if (signal.aborted) return EXIT.interrupted;
        process.stderr.write(`${errorLines(error, registry).join("\n")}\n`);
        return exitCodeOf(error);
      }
    },
    signal,
  ).finally(() => {
    // Also when there was no call: the standard input would keep the process.
    reading.abort();
  });
}

/** What goes out: one message, or all as they come. */
type Input = Message | InputStream;

/** Requests of a stream. What is wrong with them is kept: to the call it is a mere failure to read. */
interface InputStream {
  readonly messages: AsyncIterable<Message>;
  readonly failure: () => unknown;
}

function requestOf(
  { method, registry }: MethodTypes,
  data: string | undefined,
  signal: AbortSignal,
): Promise<Input> | Input {
  if (method.methodKind === "unary" || method.methodKind === "server_streaming")
    return singleMessageFrom(data, method, registry, signal);
  let failure: unknown;
  async function* messages(): AsyncGenerator<Message> {
    if (data === undefined) return;
    try {
      yield* messagesFrom(data, method.input, registry, signal);
    } catch (error) {
      failure = error;
      throw error;
    }
  }
  return { messages: messages(), failure: () => failure };
}

async function make(
  transport: Transport,
  method: DescMethod,
  input: Input,
  options: CallOptions,
  print: (message: Message) => Promise<void>,
  narrator: Narrator,
): Promise<void> {
  if (method.methodKind === "unary") {
    const unary = method as DescMethodUnary<DescMessage, DescMessage>;
    const response = await transport.unary(unary, input as Message, options);
    narrator.headers("<", response.header);
    await print(response.message);
    narrator.headers("<", response.trailer);
    return;
  }
  const streaming = method as DescMethodStreaming<DescMessage, DescMessage>;
  const requests = isStream(input) ? input.messages : new SingleMessage(input);
  try {
    const response = await transport.stream(streaming, requests, options);
    let count = 0;
    for await (const message of response.message) {
      if (count++ === 0) narrator.headers("<", response.header);
      else if (method.methodKind === "client_streaming") throw extraMessage(method.name);
      await print(message);
    }
    if (count === 0) narrator.headers("<", response.header);
    narrator.headers("<", response.trailer);
    if (count === 0 && method.methodKind === "client_streaming") throw missingMessage(method.name);
  } catch (error) {
    throw (isStream(input) ? input.failure() : undefined) ?? error;
  }
}

function isStream(input: Input): input is InputStream {
  return "messages" in input && "failure" in input && typeof input.failure === "function";
}
