// Routes and the options of routers.
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { EchoService } from "../../../gen/hawser/test/v1/echo_pb.js";
import { back, body, type Case, colour, failure, marks, numbered, serving } from "./case.js";

/** So many messages, each with a number of one byte. */
async function* long(count: number, body: Uint8Array): AsyncGenerator<{ number: number; body: Uint8Array }> {
  for (let number = 1; number <= count; number++) yield { number, body };
}

async function* numbers(number: number): AsyncGenerator<{ number: number }> {
  yield { number };
}

async function numbersOf(requests: AsyncIterable<{ readonly number: number }>): Promise<number[]> {
  const found: number[] = [];
  for await (const { number } of requests) found.push(number);
  return found;
}

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
    name: "each limit by itself, for each kind, and messages that just fit",
    setting: () => ({
      routes(router) {
        const { echo, repeat, collect, converse } = EchoService.method;
        router
          .rpc(echo, back, { readMaxBytes: 20 })
          .rpc(repeat, ({ count, body }) => long(count, body), { writeMaxBytes: 20 })
          .rpc(collect, async (requests) => ({ numbers: await numbersOf(requests) }), { readMaxBytes: 20 })
          .rpc(
            converse,
            async function* (requests) {
              for (const number of await numbersOf(requests)) yield* long(1, new Uint8Array(number));
            },
            { writeMaxBytes: 20 },
          );
      },
    }),
    async run(client, probe) {
      // A tag and a length take two bytes, and a number two more.
      for (const size of [18, 19]) {
        await probe.once(client.echo({ body: new Uint8Array(size) }));
        await probe.each(client.repeat({ count: 1, body: new Uint8Array(size - 2) }));
        await probe.once(client.collect(long(1, new Uint8Array(size - 2))));
        await probe.each(client.converse(numbers(size - 2)));
      }
    },
  },
  {
    name: "a signal that is asked for when it has been aborted already",
    setting: (probe) => {
      const shutdown = new AbortController();
      let kept: HandlerContext | undefined;
      return {
        routes: (router) =>
          router.service(EchoService, {
            async echo(request, context) {
              if (request.name === "kept") {
                kept = context;
              } else if (request.name === "look") {
                const { aborted, reason } = kept?.signal ?? AbortSignal.any([]);
                probe.note(aborted, (reason as Error | undefined)?.name);
              } else {
                probe.note("begun");
                if (request.name === "shutdown")
                  shutdown.abort(new ConnectError("closing time", Code.Unavailable));
                else await probe.until("error", 1);
                await new Promise((done) => setTimeout(done, 5));
                const { signal } = context;
                probe.note("asked", signal.aborted, ConnectError.from(signal.reason).code);
              }
              return {};
            },
          }),
        router: { shutdownSignal: shutdown.signal },
      };
    },
    async run(client, probe) {
      await probe.once(client.echo({ name: "kept" }));
      await probe.once(client.echo({ name: "look" }));
      const stop = new AbortController();
      const cancelled = probe.once(client.echo({ name: "cancelled" }, { signal: stop.signal }));
      await probe.until("begun");
      stop.abort();
      await cancelled;
      await probe.until("asked");
      await probe.once(client.echo({ name: "shutdown" }));
      await probe.until("asked", 2);
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
