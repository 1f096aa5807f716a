import { Code } from "../base/code.js";
import type { Observer } from "../base/observer.js";
import type { OpenFrame } from "../wire/frame.js";
import { AnswerCall } from "./answer-call.js";
import type { Answerer, AnsweringCall, EndRefusal } from "./call-table.js";
import type { CallGuard } from "./guard.js";
import { methodInfo } from "./method-info.js";
import type { Route, RouteTable } from "./router.js";
import type { TopicHost } from "./topic.js";
import type { Interceptor } from "./transport.js";

/** Told of what handlers throw that is no {@link RpcError}; the other side sees INTERNAL and nothing else. */
export type HandlerErrorLog = (error: unknown, method: string) => void;

/** What answering calls needs. */
export interface AnswererInit {
  readonly routes: RouteTable;
  readonly interceptors: readonly Interceptor[];
  readonly onHandlerError: HandlerErrorLog;
  /** Stands before calls with an idempotency key; without it they are turned away. */
  readonly guard: CallGuard | undefined;
  readonly observer?: Observer | undefined;
  /** What handlers may return topics to, and publish to. */
  readonly topics?: TopicHost | undefined;
}

/** Makes the answering side of calls from a table of routes. */
export function createAnswerer(init: AnswererInit): Answerer {
  return {
    answer(frame, name, calls): AnsweringCall | EndRefusal {
      const route = init.routes.get(name);
      if (route === undefined) {
        return { refused: true, code: Code.Unimplemented, message: `${name} is not served here` };
      }
      return refusal(frame, route, init) ?? new AnswerCall(frame, route, calls, init);
    },
  };
}

/** Why a call is turned away for its key or its token. */
function refusal(frame: OpenFrame, { name, method }: Route, init: AnswererInit): EndRefusal | undefined {
  const refuse = (code: Code, message: string) => ({ refused: true as const, code, message });
  if (frame.idempotencyKey === "") {
    if (methodInfo(method).once) {
      return refuse(
        Code.InvalidArgument,
        `${name} takes effect once per idempotency key (hawser.v1.once), and the call carries none`,
      );
    }
  } else if (method.methodKind !== "unary") {
    return refuse(Code.InvalidArgument, `idempotency keys are for unary methods, and ${name} is none`);
  } else if (init.guard === undefined) {
    return refuse(
      Code.FailedPrecondition,
      `the call of ${name} carries an idempotency key, and there is no idempotencyStore here to keep it`,
    );
  }
  if (frame.resumeToken !== "" && method.methodKind !== "server_streaming") {
    return refuse(Code.InvalidArgument, `resume tokens are for server streams, and ${name} is none`);
  }
  return undefined;
}
