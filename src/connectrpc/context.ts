import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { ContextValues, HandlerContext } from "@connectrpc/connect";
import type { HandlerContext as HawserContext } from "../rpc/context.js";
import { toHandlerError } from "./errors.js";
import { hawserContext } from "./keys.js";

/** What all calls of a method have in common. */
export interface ContextInit {
  readonly method: DescMethod;
  readonly url: string;
  readonly shutdownSignal: AbortSignal | undefined;
  readonly contextValues: ((context: HawserContext) => ContextValues) | undefined;
}

/** What `abort()` without a reason would make for each call, stack and all, at ten times the cost of the call. */
const OVER = new DOMException("This operation was aborted", "AbortError");

/** The context of one call, as Connect has it. All that costs something is made when a handler asks for it. */
export class ConnectContext implements HandlerContext {
  readonly service: DescService;
  readonly method: DescMethod;
  readonly url: string;
  readonly requestMethod: string = "POST";
  readonly protocolName: string = "hawser";
  /** A property, so that it may be taken out of the context. */
  readonly timeoutMs: () => number | undefined;
  readonly #call: HawserContext;
  readonly #shutdown: AbortSignal | undefined;
  #values: ContextValues | undefined;
  #controller: AbortController | undefined;
  /** Why the signal is to be aborted; `undefined` as long as the call goes on. */
  #ended: { readonly reason: unknown } | undefined;
  #unfollow: (() => void) | undefined;

  constructor(call: HawserContext, { method, url, shutdownSignal, contextValues }: ContextInit) {
    this.service = method.parent;
    this.method = method;
    this.url = url;
    this.timeoutMs = () => call.timeoutMs();
    this.#call = call;
    this.#shutdown = shutdownSignal;
    if (contextValues !== undefined) this.#values = contextValues(call).set(hawserContext, call);
  }

  get requestHeader(): Headers {
    return this.#call.requestHeader;
  }

  get responseHeader(): Headers {
    return this.#call.responseHeader;
  }

  get responseTrailer(): Headers {
    return this.#call.responseTrailer;
  }

  get values(): ContextValues {
    this.#values ??= this.#call.values.set(hawserContext, this.#call);
    return this.#values;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#ended !== undefined) this.#controller.abort(this.#ended.reason);
      else this.#follow(this.#controller);
    }
    return this.#controller.signal;
  }

  /** The call is over: as in Connect, the signal is aborted even when all went well, so that what hangs on it ends. */
  end(reason: unknown = OVER): void {
    if (this.#ended !== undefined) return;
    this.#ended = { reason };
    this.#unfollow?.();
    this.#controller?.abort(reason);
  }

  #follow(controller: AbortController): void {
    const { signal } = this.#call;
    const shutdown = this.#shutdown;
    const onAbort = () => controller.abort(toHandlerError(signal.reason));
    const onShutdown = () => controller.abort(shutdown?.reason);
    if (signal.aborted) return onAbort();
    if (shutdown?.aborted === true) return onShutdown();
    signal.addEventListener("abort", onAbort, { once: true });
    shutdown?.addEventListener("abort", onShutdown, { once: true });
    // The shutdown's signal outlives all calls.
    this.#unfollow = () => {
      signal.removeEventListener("abort", onAbort);
      shutdown?.removeEventListener("abort", onShutdown);
    };
  }
}
