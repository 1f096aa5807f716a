// Unary calls.
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { EchoService } from "../../../gen/hawser/test/v1/echo_pb.js";
import { own } from "../probe.js";
import { back, binary, body, type Case, colour, decorate, failure, numbered, serving } from "./case.js";

export const unary: readonly Case[] = [
  {
    name: "a message, with headers and trailers",
    setting: serving((probe) => ({
      echo(request, context) {
        decorate(context);
        probe.note("request", own(context.requestHeader));
        return back(request);
      },
    })),
    async run(client, probe) {
      const headers = { "x-request": "r", "x-request-bin": binary };
      await probe.once(client.echo({ id: 7n, name: "ada", body }, { headers, ...probe.watched }));
    },
  },
  {
    name: "no headers, no trailers, an empty message",
    setting: serving(() => ({ echo: () => ({}) })),
    run: (client, probe) => probe.once(client.echo({}, probe.watched)),
  },
  {
    name: "an error of each code, with details and metadata",
    setting: serving(() => ({
      echo: (request) => {
        throw failure(Number(request.id) as Code, request.name);
      },
    })),
    async run(client, probe) {
      for (let code = 1; code <= 16; code++) {
        await probe.once(client.echo({ id: BigInt(code), name: code === 5 ? "" : `code ${code}` }));
      }
    },
  },
  {
    name: "an error after headers and trailers were set: its metadata has them all",
    setting: serving(() => ({
      async echo(_, context) {
        decorate(context);
        throw failure();
      },
    })),
    run: (client, probe) => probe.once(client.echo({}, probe.watched)),
  },
  {
    name: "an error that is no ConnectError says nothing",
    setting: serving(() => ({
      echo: () => {
        throw new Error("the password is 1234");
      },
    })),
    run: (client, probe) => probe.once(client.echo({})),
  },
  {
    name: "an error of another server is passed on without its metadata",
    setting: serving(() => {
      const upstream = createClient(
        EchoService,
        createRouterTransport((router) => {
          router.service(EchoService, { echo: () => Promise.reject(failure(Code.NotFound)) });
        }),
      );
      return { echo: (request) => upstream.echo(request) };
    }),
    run: (client, probe) => probe.once(client.echo({})),
  },
  {
    name: "a method that the implementation does not have",
    setting: serving(() => ({})),
    async run(client, probe) {
      await probe.once(client.echo({}));
      await probe.each(client.repeat({}));
      await probe.once(client.collect(numbered(1)));
      await probe.each(client.converse(numbered(1)));
    },
  },
  {
    name: "the context of a handler",
    setting: serving((probe) => ({
      echo(request, context) {
        const { service, method, requestMethod, url, timeoutMs, signal, values, protocolName } = context;
        const left = timeoutMs() ?? Number.NaN;
        probe.note(service.typeName, method.name, requestMethod, new URL(url).pathname, typeof protocolName);
        probe.note(left > 50_000 && left <= 60_000, signal.aborted, values.get(colour));
        return back(request);
      },
    })),
    run: (client, probe) => probe.once(client.echo({}, { timeoutMs: 60_000 })),
  },
  {
    name: "no timeout, a default timeout, and a call that turns it off",
    setting: serving(
      (probe) => ({
        echo(request, { timeoutMs }) {
          const left = timeoutMs();
          probe.note(left === undefined ? "none" : left > 1_000 ? "default" : "own");
          return back(request);
        },
      }),
      () => ({ transport: { defaultTimeoutMs: 60_000 } }),
    ),
    async run(client, probe) {
      await probe.once(client.echo({}));
      await probe.once(client.echo({}, { timeoutMs: 0 }));
      await probe.once(client.echo({}, { timeoutMs: 900 }));
    },
  },
  {
    name: "the deadline passes",
    setting: serving((probe) => ({ echo: (_, context) => probe.aborted(context) })),
    async run(client, probe) {
      await probe.once(client.echo({}, { timeoutMs: 60 }));
      await probe.until("aborted");
    },
  },
  {
    name: "the caller cancels",
    setting: serving((probe) => ({ echo: (_, context) => probe.aborted(context) })),
    async run(client, probe) {
      const stop = new AbortController();
      const call = probe.once(client.echo({}, { signal: stop.signal }));
      await probe.until("waiting");
      stop.abort();
      await call;
      await probe.until("aborted");
    },
  },
  {
    name: "the caller cancels for a reason of its own",
    setting: serving((probe) => ({ echo: (_, context) => probe.aborted(context) })),
    async run(client, probe) {
      const reasons = [new ConnectError("enough", Code.Aborted), new Error("tired"), "a word"];
      for (const [index, reason] of reasons.entries()) {
        const stop = new AbortController();
        const call = probe.once(client.echo({}, { signal: stop.signal }));
        await probe.until("waiting", index + 1);
        stop.abort(reason);
        await call;
        await probe.until("aborted", index + 1);
      }
    },
  },
  {
    name: "the call is cancelled before it begins",
    setting: serving((probe) => ({
      echo(request) {
        probe.note("ran");
        return back(request);
      },
    })),
    run: (client, probe) => probe.once(client.echo({}, { signal: AbortSignal.abort() })),
    like: "http2",
  },
  {
    name: "the handler's signal is aborted when all is over",
    setting: serving((probe) => ({
      echo(request, { signal }) {
        signal.addEventListener("abort", () => probe.note("over"));
        return back(request);
      },
    })),
    async run(client, probe) {
      await probe.once(client.echo({}));
      await probe.until("over");
    },
  },
  {
    name: "large messages in both directions",
    setting: serving(() => ({ echo: back })),
    run: (client, probe) => probe.once(client.echo({ body: new Uint8Array(2_000_000) })),
  },
];
