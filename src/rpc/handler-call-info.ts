import type { DescMethod } from "@bufbuild/protobuf";
import type { CallInfo } from "../base/observer.js";
import type { CallContext, SessionInfo } from "./context.js";
import type { Route } from "./router.js";

/** What observers are told of a call. A class, because an object with a getter of its own costs two microseconds, most of it in garbage. */
export class HandlerCallInfo implements CallInfo {
  readonly side = "handler";
  readonly name: string;
  readonly method: DescMethod;
  readonly sessionId: string;
  readonly identity: string | undefined;
  readonly #context: CallContext;

  constructor({ name, method }: Route, { id, identity }: SessionInfo, context: CallContext) {
    this.name = name;
    this.method = method;
    this.sessionId = id;
    this.identity = identity?.id;
    this.#context = context;
  }

  get header(): Headers {
    return this.#context.requestHeader;
  }
}
