import type { DescMethod, DescService } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  type ConnectRouterOptions,
  type ContextValues,
  createConnectRouter,
  createMethodImplSpec,
  createServiceImplSpec,
  type HandlerContext,
  type MethodImplSpec,
} from "@connectrpc/connect";
import { checkFunction } from "../base/check.js";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { HandlerContext as HawserContext } from "../rpc/context.js";
import { methodInfo } from "../rpc/method-info.js";
import type { Routes } from "../rpc/router.js";
import { turnAway } from "../rpc/turned-away.js";
import { toHandlerError } from "./errors.js";
import { createHandler } from "./handler.js";
import type { HandlerInit } from "./invocation.js";
import { BASE_URL, methodUrl } from "./url.js";

/**
 * Options of {@link connectRoutes}: those of a Connect router, which can be given with single services and methods too.
 *
 * Applied: `interceptors`, `requestGate`, `maxTimeoutMs`, `shutdownSignal`, `readMaxBytes`, `writeMaxBytes`. What is about HTTP
 * or JSON (`grpc`, `grpcWeb`, `connect`, `acceptCompression`, `compressMinBytes`, `jsonOptions`, `binaryOptions`,
 * `requireConnectProtocolHeader`) means nothing here, and changes nothing.
 */
export interface ConnectRoutesOptions extends ConnectRouterOptions {
  /**
   * Makes the values of a call, as the option of Connect's adapters does from the HTTP request; this one gets Hawser's context,
   * with the session and its identity. Default: no values but {@link hawserContext}.
   */
  readonly contextValues?: (context: HawserContext) => ContextValues;
}

/** What is read of a router's options; `requestGate` came with Connect 2.2. */
type RouteOptions = Partial<ConnectRoutesOptions> & {
  readonly requestGate?: (context: HandlerContext) => void | Promise<void>;
};

/**
 * Routes of Connect, as they are, for a Hawser server or client.
 *
 * @param routes What is given to Connect's adapters: `(router: ConnectRouter) => …`.
 * @param options Options of Connect's router.
 * @throws what the routes function throws, and what Connect throws for its options, as soon as the routes are used.
 * @example
 * const server = createServer({ routes: connectRoutes(routes, { interceptors }) });
 */
export function connectRoutes(
  routes: (router: ConnectRouter) => void,
  options: ConnectRoutesOptions = {},
): Routes {
  checkFunction("connectRoutes() routes", routes);
  checkFunction("connectRoutes() contextValues", options.contextValues);
  return (router) => {
    for (const [service, handlers] of collect(routes, options)) {
      router.service(service, Object.fromEntries(handlers) as object);
    }
  };
}

type Handlers = Map<string, ReturnType<typeof createHandler>>;

/** All handlers, by service and local name; of two for the same method the later one counts, as in Connect's adapters. */
function collect(
  routes: (router: ConnectRouter) => void,
  options: ConnectRoutesOptions,
): Map<DescService, Handlers> {
  const found = new Map<DescService, Handlers>();
  // Connect's own, for its checks of options and for who looks at the handlers.
  const genuine = createConnectRouter(options);
  const add = (spec: MethodImplSpec, own: RouteOptions | undefined): void => {
    const { parent, localName } = spec.method;
    const handlers = found.get(parent) ?? new Map();
    found.set(
      parent,
      handlers.set(localName, createHandler(spec, handlerInit(spec.method, { ...options, ...own }))),
    );
  };
  const router: ConnectRouter = {
    handlers: genuine.handlers,
    service(service, implementation, own) {
      genuine.service(service, implementation, own);
      const { methods } = createServiceImplSpec(service, implementation);
      for (const [name, spec] of Object.entries(methods)) {
        if (typeof implementation[name as keyof typeof implementation] === "function") add(spec, own);
        // A key has nothing to guard there, and a server without a store must not be refused for it.
        else if (!methodInfo(spec.method).once) add(unimplemented(spec), own);
      }
      return router;
    },
    rpc(method, implementation, own) {
      genuine.rpc(method, implementation, own);
      add(createMethodImplSpec(method, implementation), own);
      return router;
    },
  };
  routes(router);
  return found;
}

/** As Connect has it: interceptors see the call, and it is answered with UNIMPLEMENTED. */
function unimplemented(spec: MethodImplSpec): MethodImplSpec {
  const { parent, name } = spec.method;
  const impl = (): never => {
    const message = `${parent.typeName}.${name} is not implemented`;
    throw toHandlerError(turnAway(new RpcError(message, Code.Unimplemented, { executed: "no" })));
  };
  return { ...spec, impl } as MethodImplSpec;
}

function handlerInit(method: DescMethod, options: RouteOptions): HandlerInit {
  return {
    method,
    url: methodUrl(BASE_URL, method),
    interceptors: [...(options.interceptors ?? [])],
    requestGate: options.requestGate,
    shutdownSignal: options.shutdownSignal,
    contextValues: options.contextValues,
    maxTimeoutMs: options.maxTimeoutMs ?? Number.POSITIVE_INFINITY,
    readMaxBytes: options.readMaxBytes ?? Number.POSITIVE_INFINITY,
    writeMaxBytes: options.writeMaxBytes ?? Number.POSITIVE_INFINITY,
  };
}
