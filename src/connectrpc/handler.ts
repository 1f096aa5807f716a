import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext, MethodImplSpec } from "@connectrpc/connect";
import type { HandlerContext as HawserContext } from "../rpc/context.js";
import { ConnectContext, type ContextInit } from "./context.js";
import { toRpcError } from "./errors.js";
import { type HandlerInit, Invocation } from "./invocation.js";
import { ended, handed, justOne, onlyOne } from "./messages.js";

type AnyMessage = MessageShape<DescMessage>;
type AnyInit = MessageInitShape<DescMessage>;
type Requests = AsyncIterable<AnyMessage>;
// biome-ignore lint/suspicious/noExplicitAny: the kinds differ in shape; Hawser calls each by its kind.
type Handler = (input: any, call: HawserContext) => any;

/** A Connect implementation as a handler of Hawser. */
export function createHandler(spec: MethodImplSpec, init: HandlerInit): Handler {
  const bare =
    init.interceptors.length === 0 &&
    init.requestGate === undefined &&
    [init.maxTimeoutMs, init.readMaxBytes, init.writeMaxBytes].every(
      (limit) => limit === Number.POSITIVE_INFINITY,
    );
  switch (spec.kind) {
    case "unary":
      return bare
        ? bareOnce(spec.impl, init)
        : once(async (run, message: AnyMessage) => run.unary(spec, message), init);
    case "client_streaming":
      return bare
        ? bareOnce((requests: Requests, context) => spec.impl(handed(requests), context), init)
        : once(
            async (run, requests: Requests) => onlyOne(run.stream(spec, requests), "response message"),
            init,
          );
    case "server_streaming":
      return bare
        ? bareStream(spec.impl, init)
        : stream((run, message: AnyMessage) => run.stream(spec, justOne(message)), init);
    case "bidi_streaming":
      return bare
        ? bareStream((requests: Requests, context) => spec.impl(handed(requests), context), init)
        : stream((run, requests: Requests) => run.stream(spec, requests), init);
  }
}

// ---- with nothing around the implementation: no promise, no object more than the call needs ----------------------

function bareOnce<I>(
  impl: (input: I, context: HandlerContext) => AnyInit | Promise<AnyInit>,
  init: ContextInit,
): Handler {
  return (input: I, call) => {
    const context = new ConnectContext(call, init);
    const fail = (thrown: unknown): never => {
      context.end(thrown);
      throw toRpcError(thrown);
    };
    const finish = (message: AnyInit): AnyInit => {
      context.end();
      return message;
    };
    let result: AnyInit | Promise<AnyInit>;
    try {
      result = impl(input, context);
    } catch (thrown) {
      return fail(thrown);
    }
    return isThenable(result) ? result.then(finish, fail) : finish(result);
  };
}

function bareStream<I>(
  impl: (input: I, context: HandlerContext) => AsyncIterable<AnyInit>,
  init: ContextInit,
): Handler {
  return (input: I, call) => {
    const context = new ConnectContext(call, init);
    return ended(() => impl(input, context), context, toRpcError);
  };
}

// ---- with interceptors, a gate or limits -------------------------------------------------------------------------

function once<I>(invoke: (run: Invocation, input: I) => Promise<AnyInit>, init: HandlerInit): Handler {
  return async (input: I, call) => {
    const context = new ConnectContext(call, init);
    const run = new Invocation(context, init);
    try {
      await run.admit();
      return await invoke(run, input);
    } catch (thrown) {
      context.end(thrown);
      throw run.failure(thrown);
    } finally {
      context.end();
    }
  };
}

function stream<I>(
  invoke: (run: Invocation, input: I) => AsyncIterable<AnyInit>,
  init: HandlerInit,
): Handler {
  return (input: I, call) => {
    const context = new ConnectContext(call, init);
    const run = new Invocation(context, init);
    const messages = async function* () {
      await run.admit();
      yield* invoke(run, input);
    };
    return ended(messages, context, (thrown) => run.failure(thrown));
  };
}

function isThenable<T extends object>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown }).then === "function";
}
