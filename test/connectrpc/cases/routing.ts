// Routes and the options of routers.
import { Code, ConnectError } from "@connectrpc/connect";
import { EchoService } from "../../../gen/hawser/test/v1/echo_pb.js";
import { back, body, type Case, colour, failure, marks, numbered, serving } from "./case.js";

export const routing: readonly Case[] = [
  {
    name: "options of one service, routes of single methods, and the later of two",
    setting: (probe) => ({
      routes(router) {
        router
          .service(
            EchoService,
            { echo: () => ({ name: "service" }), repeat: () => numbered(1) },
            { interceptors: [marks(probe, "note", "service's")] },
          )
          .rpc(EchoService.method.echo, () => ({ name: "method" }), { interceptors: [] })
          .rpc(EchoService.method.collect, async () => ({ bytes: 1n }));
        probe.note(router.handlers.map(({ requestPath }) => requestPath));
      },
      router: { interceptors: [marks(probe, "note", "router's")] },
    }),
    async run(client, probe) {
      await probe.once(client.echo({}));
      await probe.each(client.repeat({}));
      await probe.once(client.collect(numbered(0)));
    },
  },
  {
    name: "implementations that are class instances keep their this",
    setting: serving(() => {
      class Echo {
        readonly greeting = "hello";
        echo() {
          return { name: this.greeting };
        }
        async *repeat() {
          yield { number: this.greeting.length };
        }
      }
      return new Echo();
    }),
    async run(client, probe) {
      await probe.once(client.echo({}));
      await probe.each(client.repeat({}));
    },
  },
  {
    name: "a gate, which lets one through and leaves a value and a header",
    setting: serving(
      (probe) => ({
        echo(request, { values }) {
          probe.note(values.get(colour));
          return back(request);
        },
        repeat: () => numbered(1),
      }),
      () => ({
        router: {
          requestGate: async (context) => {
            if (context.requestHeader.get("x-token") !== "secret") throw failure(Code.Unauthenticated);
            context.values.set(colour, "green");
            context.responseHeader.set("x-gate", "open");
          },
        },
      }),
    ),
    async run(client, probe) {
      for (const token of ["secret", "wrong"]) {
        await probe.once(client.echo({}, { headers: { "x-token": token }, ...probe.watched }));
        await probe.each(client.repeat({}, { headers: { "x-token": token }, ...probe.watched }));
      }
    },
  },
  {
    name: "a timeout over the limit of the router",
    setting: serving(
      () => ({ echo: back, repeat: () => numbered(2) }),
      () => ({ router: { maxTimeoutMs: 5_000 } }),
    ),
    async run(client, probe) {
      const code = (error: unknown) => probe.log("error", ConnectError.from(error).code);
      await client.echo({}, { timeoutMs: 10_000 }).catch(code);
      const messages = client.repeat({}, { timeoutMs: 10_000 })[Symbol.asyncIterator]();
      await messages.next().catch(code);
    },
  },
  {
    name: "messages over the limits of the router",
    setting: serving(
      () => ({ echo: ({ name }) => ({ name: name.repeat(4) }) }),
      () => ({
        router: { readMaxBytes: 60, writeMaxBytes: 100 },
      }),
    ),
    async run(client, probe) {
      await probe.once(client.echo({ name: "short", body }));
      await probe.once(client.echo({ name: "x".repeat(50) }));
      await probe.once(client.echo({ name: "x".repeat(70) }));
    },
  },
  {
    name: "the server shuts down",
    setting: (probe) => {
      const shutdown = new AbortController();
      return {
        routes: (router) =>
          router.service(EchoService, {
            async echo(_, context) {
              setImmediate(() => shutdown.abort(new ConnectError("closing time", Code.Unavailable)));
              return probe.aborted(context);
            },
          }),
        router: { shutdownSignal: shutdown.signal },
      };
    },
    run: (client, probe) => probe.once(client.echo({})),
  },
];
