// Interceptors, on both sides.
import { create } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createContextValues,
  type HandlerContext,
  type Interceptor,
} from "@connectrpc/connect";
import { EchoRequestSchema, RepeatRequestSchema } from "../../../gen/hawser/test/v1/echo_pb.js";
import { own } from "../probe.js";
import { back, type Case, colour, failure, marks, numbered, serving } from "./case.js";

async function* once<T>(message: T): AsyncGenerator<T> {
  yield message;
}

export const interceptors: readonly Case[] = [
  {
    name: "order and sight of interceptors on both sides, for each kind",
    setting: serving(
      (probe) => ({
        echo(request, context) {
          probe.note("handler", own(context.requestHeader));
          return back(request);
        },
        async *repeat(_, context) {
          probe.note("handler", own(context.requestHeader));
          yield* numbered(2);
        },
        async collect(requests) {
          for await (const _ of requests);
          probe.note("handler");
          return {};
        },
        async *converse(requests) {
          for await (const { number } of requests) yield { number };
          probe.note("handler");
        },
      }),
      (probe) => ({
        router: { interceptors: [marks(probe, "note", "outer"), marks(probe, "note", "inner")] },
        transport: { interceptors: [marks(probe, "log", "outer"), marks(probe, "log", "inner")] },
      }),
    ),
    async run(client, probe) {
      await probe.once(client.echo({}, probe.watched));
      await probe.each(client.repeat({}, probe.watched));
      await probe.once(client.collect(numbered(2), probe.watched));
      await probe.each(client.converse(numbered(2), probe.watched));
    },
  },
  {
    name: "interceptors see errors, and may put others in their place",
    setting: serving(
      () => ({
        echo: () => Promise.reject(failure()),
        repeat: () => numbered(1, failure()),
      }),
      (probe) => ({
        router: { interceptors: [marks(probe, "note", "server")] },
        transport: {
          interceptors: [
            (next) => async (request) => {
              try {
                return await next(request);
              } catch (error) {
                const { rawMessage } = ConnectError.from(error);
                return Promise.reject(new ConnectError(`instead of ${rawMessage}`, Code.Aborted));
              }
            },
            marks(probe, "log", "client", false),
          ],
        },
      }),
    ),
    async run(client, probe) {
      await probe.once(client.echo({}));
      await probe.each(client.repeat({}));
    },
  },
  {
    name: "interceptors change messages in both directions",
    setting: serving(
      () => ({
        echo: back,
        async *converse(requests) {
          for await (const { number } of requests) yield { number };
        },
      }),
      () => {
        const change =
          (by: number): Interceptor =>
          (next) =>
          async (request) => {
            async function* added(messages: AsyncIterable<unknown>) {
              for await (const message of messages) {
                (message as { number: number }).number += by;
                yield message as never;
              }
            }
            if (!request.stream) {
              (request.message as unknown as { name: string }).name += `+${by}`;
              const response = await next(request);
              if (!response.stream) (response.message as unknown as { name: string }).name += `-${by}`;
              return response;
            }
            const response = await next({ ...request, message: added(request.message) });
            return response.stream ? { ...response, message: added(response.message) } : response;
          };
        return { router: { interceptors: [change(1)] }, transport: { interceptors: [change(10)] } };
      },
    ),
    async run(client, probe) {
      await probe.once(client.echo({ name: "n" }));
      await probe.each(client.converse(numbered(2)));
    },
  },
  {
    name: "an interceptor turns calls away, on the server and on the client",
    setting: serving(
      (probe) => ({
        echo(request) {
          probe.note("ran");
          return back(request);
        },
        repeat() {
          probe.note("ran");
          return numbered(1);
        },
      }),
      () => {
        const guard =
          (side: string): Interceptor =>
          (next) =>
          (request) => {
            if (request.header.get("x-stop") === side) throw new ConnectError(side, Code.PermissionDenied);
            return next(request);
          };
        return {
          router: { interceptors: [guard("server")] },
          transport: { interceptors: [guard("client")] },
        };
      },
    ),
    async run(client, probe) {
      for (const side of ["server", "client"]) {
        await probe.once(client.echo({}, { headers: { "x-stop": side } }));
        await probe.each(client.repeat({}, { headers: { "x-stop": side } }));
      }
    },
  },
  {
    name: "context values, from the call to interceptors, and from interceptors to the handler",
    setting: serving(
      (probe) => ({
        echo(request, { values }) {
          probe.note(values.get(colour));
          return back(request);
        },
      }),
      (probe) => ({
        router: {
          interceptors: [
            (next) => (request) => {
              probe.note(request.contextValues.get(colour));
              request.contextValues.set(colour, "blue");
              return next(request);
            },
          ],
        },
        transport: {
          interceptors: [
            (next) => (request) => {
              probe.log(request.contextValues.get(colour));
              return next(request);
            },
          ],
        },
      }),
    ),
    async run(client, probe) {
      await probe.once(client.echo({}, { contextValues: createContextValues().set(colour, "red") }));
      await probe.once(client.echo({}));
    },
  },
  {
    name: "an interceptor of the server puts its own in place of what the handler gets, and of what it has set",
    setting: serving(
      (probe) => {
        const note = ({ requestHeader, values, signal }: HandlerContext) =>
          probe.note(own(requestHeader), values.get(colour), (signal.reason as Error | undefined)?.message);
        const set = ({ responseHeader, responseTrailer }: HandlerContext) => {
          responseHeader.set("x-header", "h");
          responseTrailer.set("x-trailer", "t");
        };
        return {
          echo(request, context) {
            note(context);
            set(context);
            return back(request);
          },
          async *repeat({ count }, context) {
            note(context);
            set(context);
            yield* numbered(count);
          },
        };
      },
      () => ({
        router: {
          interceptors: [
            (next) => async (request) => {
              const response = await next({
                ...request,
                header: new Headers({ "x-own": "request" }),
                contextValues: createContextValues().set(colour, "blue"),
                signal: AbortSignal.abort(new Error("stop")),
                ...(request.stream
                  ? { message: once(create(RepeatRequestSchema, { count: 2 })) }
                  : { message: create(EchoRequestSchema, { name: "another" }) }),
              } as typeof request);
              const header = new Headers(response.header);
              header.set("x-header", "of the interceptor");
              header.append("x-many", "a");
              header.append("x-many", "b");
              const trailer = new Headers(response.trailer);
              trailer.set("x-trailer", "of the interceptor");
              return { ...response, header, trailer };
            },
          ],
        },
      }),
    ),
    async run(client, probe) {
      await probe.once(client.echo({ name: "one" }, { headers: { "x-sent": "s" }, ...probe.watched }));
      await probe.each(client.repeat({ count: 1 }, { headers: { "x-sent": "s" }, ...probe.watched }));
    },
  },
  {
    name: "what an interceptor of the client sees of the time and the signal of a call",
    setting: serving(
      () => ({ echo: back, repeat: () => numbered(1) }),
      (probe) => ({
        transport: {
          interceptors: [
            (next) => (request) => {
              const late = new Promise((done) => request.signal.addEventListener("abort", done));
              void late.then(() => probe.log("aborted", request.stream));
              probe.log(request.signal.aborted, request.header.has("x-sent"));
              return next(request);
            },
          ],
        },
      }),
    ),
    async run(client, probe) {
      const stop = new AbortController();
      stop.abort();
      await probe.once(client.echo({}, { signal: stop.signal }));
      await probe.each(client.repeat({}, { signal: stop.signal }));
    },
  },
  {
    name: "the deadline passes inside a client's interceptor",
    setting: serving(
      (probe) => ({
        echo(request) {
          probe.note("ran");
          return back(request);
        },
      }),
      () => ({
        transport: {
          interceptors: [
            (next) => async (request) => {
              await new Promise((done) => request.signal.addEventListener("abort", done));
              return next(request);
            },
          ],
        },
      }),
    ),
    run: (client, probe) => probe.once(client.echo({}, { timeoutMs: 30 })),
    like: "http2",
  },
  {
    name: "a client's interceptor calls twice",
    setting: serving(
      (probe) => ({
        echo(request) {
          probe.note("ran");
          if (probe.server.length === 1) throw failure(Code.Aborted);
          return back(request);
        },
      }),
      () => ({
        transport: {
          interceptors: [(next) => (request) => next(request).catch(() => next(request))],
        },
      }),
    ),
    run: (client, probe) => probe.once(client.echo({ name: "again" })),
  },
];
