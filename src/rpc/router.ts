import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { HandlerContext } from "./context.js";
import { methodInfo } from "./method-info.js";
import type { Topic } from "./topic.js";

/** The implementation of one method. */
export type MethodImpl<M> =
  M extends DescMethodUnary<infer I, infer O>
    ? (
        request: MessageShape<I>,
        context: HandlerContext,
      ) => Promise<MessageInitShape<O>> | MessageInitShape<O>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (
          request: MessageShape<I>,
          context: HandlerContext,
        ) => AsyncIterable<MessageInitShape<O>> | Topic<O> | Promise<Topic<O>>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageShape<I>>, context: HandlerContext) => Promise<MessageInitShape<O>>
        : M extends DescMethodBiDiStreaming<infer I, infer O>
          ? (
              requests: AsyncIterable<MessageShape<I>>,
              context: HandlerContext,
            ) => AsyncIterable<MessageInitShape<O>>
          : never;

/** The implementation of a service: an object or a class instance. Methods that are missing answer UNIMPLEMENTED. */
export type ServiceImpl<Desc extends DescService> = {
  [P in keyof Desc["method"]]: MethodImpl<Desc["method"][P]>;
};

/** Takes implementations of services. */
export interface Router {
  /**
   * Serves a service.
   *
   * @throws Error when the service is served already, or when a given implementation is not a function.
   */
  service<Desc extends DescService>(service: Desc, implementation: Partial<ServiceImpl<Desc>>): this;
}

/** A function that gives services to a router. */
export type Routes = (router: Router) => void;

/** A method and its handler, whatever its kind. */
export interface Route {
  readonly name: string;
  readonly method: DescMethod;
  // biome-ignore lint/suspicious/noExplicitAny: the kinds differ in shape; `answer-call.ts` calls each by its kind.
  readonly handler: (input: any, context: HandlerContext) => any;
}

/** A message of any type, for code that is generic over them. */
export type AnyMessage = MessageShape<DescMessage>;

/** All that one side serves, by "package.Service/Method". */
export type RouteTable = ReadonlyMap<string, Route>;

/**
 * Collects routes.
 *
 * @param own Services of this package itself, which the user's take the place of.
 * @throws what the routes function throws.
 */
export function collectRoutes(routes: Routes | undefined, own?: Routes): RouteTable {
  const table = new Map<string, Route>();
  const served = new Set<string>();
  const router: Router = {
    service(service, implementation) {
      if (served.has(service.typeName)) throw new Error(`${service.typeName} is served already`);
      served.add(service.typeName);
      for (const method of service.methods) {
        const handler: unknown = (implementation as Record<string, unknown>)[method.localName];
        if (handler === undefined) continue;
        if (typeof handler !== "function") {
          throw new TypeError(
            `${service.typeName}.${method.localName} must be a function, not ${typeof handler}`,
          );
        }
        const { name } = methodInfo(method);
        table.set(name, { name, method, handler: handler.bind(implementation) as Route["handler"] });
      }
      return router;
    },
  };
  routes?.(router);
  own?.({
    service(service, implementation) {
      return served.has(service.typeName) ? this : router.service(service, implementation);
    },
  });
  return table;
}
