import type { DescMessage, Message, MessageShape } from "@bufbuild/protobuf";
import { createValidator, type Validator } from "@bufbuild/protovalidate";
import { checkKeys } from "../base/check.js";
import type { Executed } from "../base/error.js";
import { SingleMessage } from "../rpc/client.js";
import { methodInfo } from "../rpc/method-info.js";
import type {
  Interceptor,
  InterceptorNext,
  StreamRequest,
  StreamResponse,
  UnaryRequest,
  UnaryResponse,
} from "../rpc/transport.js";
import { checked, Verdict } from "./checked.js";
import { badRequest, badResponse, badRules } from "./errors.js";

/** Options of {@link createValidationInterceptor}. */
export interface ValidationOptions {
  /**
   * What checks the messages: `createValidator()` of `@bufbuild/protovalidate` with options of your own, such as a
   * `registry` of predefined rules, or `failFast`. It compiles the rules of each message type once, and several
   * interceptors may share one. Default: one of its own, without options.
   */
  readonly validator?: Validator | undefined;
  /**
   * Whether responses are checked too. One that breaks the rules fails its call with INTERNAL and the violations, in place
   * of reaching the caller. Default `false`.
   */
  readonly validateResponses?: boolean | undefined;
}

/**
 * Makes an interceptor that checks messages by the rules in their schema (`buf/validate/validate.proto`), for a server
 * (`interceptors` of `createServer`), for a client (`interceptors` of `connect`), or for both.
 *
 * A request that breaks rules fails its call with INVALID_ARGUMENT. The text names the first three violations;
 * `error.findDetails(ViolationsSchema)` has them in full, up to 8 KiB of them. What `RpcError.executed` says then:
 *
 * | | on a server | on a client |
 * | --- | --- | --- |
 * | unary, server streaming | `"no"`: the handler was not called | `"no"`: nothing was sent |
 * | client streaming, bidirectional | `"yes"`: the handler runs since the call was opened | `"unknown"` |
 *
 * Of a stream, each message is checked when it is read, and the first bad one ends the call, whatever the handler makes of
 * the error that it gets in place of the message. A bad response has `"yes"`.
 *
 * Rules that do not compile, and expressions that fail at run time, fail each call that they apply to with INTERNAL:
 * nothing passes unchecked. `buf lint` finds the first of them before.
 *
 * @throws TypeError when an option is unknown, or none that fits.
 */
export function createValidationInterceptor(options: ValidationOptions = {}): Interceptor {
  checkKeys("createValidationInterceptor()", options, ["validator", "validateResponses"]);
  const { validator = createValidator(), validateResponses = false } = options;
  if (typeof (validator as Partial<Validator> | null)?.validate !== "function") {
    throw new TypeError("validator must be what createValidator() of @bufbuild/protovalidate gives");
  }
  if (typeof validateResponses !== "boolean") {
    throw new TypeError(`validateResponses must be true or false, not ${String(validateResponses)}`);
  }
  return (next) => async (request) => {
    const response = request.stream
      ? await streamed(validator, request, next)
      : await single(validator, request, next);
    return validateResponses ? withGoodMessages(validator, response) : response;
  };
}

async function single(
  validator: Validator,
  request: UnaryRequest,
  next: InterceptorNext,
): Promise<UnaryResponse | StreamResponse> {
  checkRequest(validator, request.method.input, request.message, "no");
  return next(request);
}

async function streamed(
  validator: Validator,
  request: StreamRequest,
  next: InterceptorNext,
): Promise<UnaryResponse | StreamResponse> {
  const { input, methodKind } = request.method;
  if (methodKind === "server_streaming") {
    // The one message is there already: nothing has to begin before it is known to be good.
    for await (const message of request.message) {
      checkRequest(validator, input, message, "no");
      return next({ ...request, message: new SingleMessage(message) });
    }
    return next(request);
  }
  // Whether the call was opened before its bad message is for the transport to know; it never makes this a "no".
  const check = (message: Message) => checkRequest(validator, input, message, "unknown");
  const verdict = new Verdict();
  const response = await next({ ...request, message: checked(request.message, check, verdict.fail) });
  return response.stream ? withMessages(response, verdict.ends(response.message)) : response;
}

function withGoodMessages(
  validator: Validator,
  response: UnaryResponse | StreamResponse,
): UnaryResponse | StreamResponse {
  const check = (message: Message) => checkResponse(validator, response, message);
  if (response.stream) return withMessages(response, checked(response.message, check));
  check(response.message);
  return response;
}

/** A response with other messages. Its metadata is asked for when it is complete, not now. */
function withMessages(
  response: StreamResponse,
  message: AsyncIterable<MessageShape<DescMessage>>,
): StreamResponse {
  return {
    stream: true,
    method: response.method,
    message,
    get header() {
      return response.header;
    },
    get trailer() {
      return response.trailer;
    },
  };
}

/** @throws RpcError for a request that breaks the rules of its schema, or whose rules do not work. */
function checkRequest(validator: Validator, schema: DescMessage, message: Message, executed: Executed): void {
  const result = validator.validate(schema, message);
  if (result.kind === "invalid") throw badRequest(schema, result.violations, result.error, executed);
  if (result.kind === "error") throw badRules(schema, result.error, executed);
}

/** @throws RpcError for a response that breaks the rules of its schema, or whose rules do not work. */
function checkResponse(
  validator: Validator,
  { method }: UnaryResponse | StreamResponse,
  message: Message,
): void {
  const result = validator.validate(method.output, message);
  if (result.kind === "invalid") {
    throw badResponse(method.output, result.violations, result.error, methodInfo(method).name);
  }
  if (result.kind === "error") throw badRules(method.output, result.error, "yes");
}
