// What cases are, and what several of them need.
import {
  type Client,
  Code,
  ConnectError,
  type ConnectRouter,
  type ContextKey,
  createContextKey,
  encodeBinaryHeader,
  type Interceptor,
  type ServiceImpl,
  type Transport,
} from "@connectrpc/connect";
import { CollectRequestSchema, type EchoRequest, EchoService } from "../../../gen/hawser/test/v1/echo_pb.js";
import { own, type Probe } from "../probe.js";
import type { Setting } from "../transports.js";

export type EchoClient = Client<typeof EchoService>;

export interface Case {
  readonly name: string;
  /** Makes it anew for each run. */
  setting(probe: Probe): Setting;
  run(client: EchoClient, probe: Probe, transport: Transport): Promise<void>;
  /** Connect's transports differ from each other here: ours is to be like this one. */
  readonly like?: "router" | "http2";
}

type Impl = Partial<ServiceImpl<typeof EchoService>>;
type Options = Omit<Setting, "routes">;

export const serving =
  (impl: (probe: Probe) => Impl, options: (probe: Probe) => Options = () => ({})) =>
  (probe: Probe): Setting => ({
    routes: (router: ConnectRouter) => router.service(EchoService, impl(probe)),
    ...options(probe),
  });

/** An answer that says what the request said. */
export const back = ({ id, name, body }: EchoRequest): { id: bigint; name: string; body: Uint8Array } => ({
  id,
  name,
  body,
});

export const body: Uint8Array<ArrayBuffer> = new Uint8Array([1, 2, 3]);
/** A value for metadata whose name ends in `-bin`. */
export const binary: string = encodeBinaryHeader(new Uint8Array([0, 255, 254]));

export async function* numbered(
  count: number,
  fail?: unknown,
): AsyncGenerator<{ number: number; body: Uint8Array }> {
  for (let number = 1; number <= count; number++) yield { number, body };
  if (fail !== undefined) throw fail;
}

export const failure = (code: Code = Code.FailedPrecondition, message = "not now"): ConnectError =>
  new ConnectError(message, code, { "x-error": "meta", "x-error-bin": binary }, [
    { desc: CollectRequestSchema, value: { number: 7 } },
  ]);

/** Sets headers and trailers. */
export function decorate(context: { responseHeader: Headers; responseTrailer: Headers }): void {
  context.responseHeader.set("x-header", "h");
  context.responseHeader.append("x-twice", "a");
  context.responseHeader.append("x-twice", "b");
  context.responseHeader.set("x-header-bin", binary);
  context.responseTrailer.set("x-trailer", "t");
  context.responseTrailer.set("x-trailer-bin", binary);
}

/** Notes what an interceptor sees on its way in and out. */
export const marks =
  (probe: Probe, side: "log" | "note", mark: string, leave = true): Interceptor =>
  (next) =>
  async (request) => {
    const { pathname } = new URL(request.url);
    const { stream, service, method, requestMethod } = request;
    probe[side](`${mark} in`, {
      stream,
      service: service.typeName,
      method: method.name,
      pathname,
      requestMethod,
    });
    request.header.append("x-marks", mark);
    try {
      const response = await next(request);
      probe[side](
        `${mark} out`,
        { stream: response.stream, method: response.method.name },
        own(response.header),
      );
      if (!leave) return response;
      response.header.append("x-seen-by", mark);
      response.trailer.append("x-seen-late-by", mark);
      return response;
    } catch (error) {
      probe[side](`${mark} error`, error instanceof ConnectError ? error.code : "no ConnectError");
      throw error;
    }
  };

/** A context key that interceptors and handlers share. */
export const colour: ContextKey<string> = createContextKey("grey", { description: "colour" });
