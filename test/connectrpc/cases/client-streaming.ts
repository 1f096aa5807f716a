// Client-streaming calls.
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { deferred, own } from "../probe.js";
import { type Case, decorate, failure, numbered, serving } from "./case.js";

export const clientStreaming: readonly Case[] = [
  {
    name: "messages, and one answer",
    setting: serving((probe) => ({
      async collect(requests, context) {
        decorate(context);
        probe.note("request", own(context.requestHeader));
        const numbers: number[] = [];
        for await (const { number } of requests) numbers.push(number);
        return { numbers };
      },
    })),
    run: (client, probe) =>
      probe.once(client.collect(numbered(3), { headers: { "x-request": "r" }, ...probe.watched })),
  },
  {
    name: "no message, and one answer",
    setting: serving(() => ({
      async collect(requests) {
        let count = 0;
        for await (const _ of requests) count++;
        return { bytes: BigInt(count) };
      },
    })),
    run: (client, probe) => probe.once(client.collect(numbered(0))),
  },
  {
    name: "an answer before the requests end",
    setting: serving(() => ({
      async collect(requests) {
        for await (const { number } of requests) return { numbers: [number] };
        return {};
      },
    })),
    async run(client, probe) {
      async function* input() {
        yield { number: 1 };
        yield { number: 2 };
        await new Promise(() => undefined);
      }
      await probe.once(client.collect(input()));
    },
  },
  {
    name: "an error with metadata in the middle of the requests",
    setting: serving(() => ({
      async collect(requests, context) {
        decorate(context);
        for await (const _ of requests) throw failure();
        return {};
      },
    })),
    run: (client, probe) => probe.once(client.collect(numbered(3), probe.watched)),
  },
  {
    name: "the requests fail",
    setting: serving((probe) => ({
      async collect(requests) {
        for await (const { number } of requests) probe.note("request", number);
        return {};
      },
    })),
    async run(client, probe) {
      async function* failing(reason: unknown, count: number) {
        yield { number: 1 };
        await probe.until("request", count);
        throw reason;
      }
      const reasons = [new ConnectError("no more", Code.DataLoss), new Error("broken")];
      for (const [index, reason] of reasons.entries()) {
        await probe.once(client.collect(failing(reason, index + 1)));
      }
    },
    like: "http2",
  },
  {
    name: "the caller cancels while it sends, and its generator ends",
    setting: serving((probe) => ({
      async collect(requests, { signal }) {
        signal.addEventListener("abort", () => probe.note("aborted"));
        for await (const _ of requests) probe.note("request");
        return {};
      },
    })),
    async run(client, probe) {
      const stop = new AbortController();
      const ended = deferred();
      async function* endless() {
        try {
          for (;;) {
            yield {};
            await new Promise((done) => setImmediate(done));
          }
        } finally {
          ended.resolve();
        }
      }
      const call = probe.once(client.collect(endless(), { signal: stop.signal }));
      await probe.until("request");
      stop.abort();
      await call;
      await ended.promise;
      await probe.until("aborted");
      probe.server.length = 0;
    },
  },
  {
    name: "no answer and two answers, from an interceptor",
    setting: serving(
      () => ({ collect: async () => ({ numbers: [1] }) }),
      () => {
        const multiply: Interceptor = (next) => async (request) => {
          const response = await next(request);
          if (!response.stream) return response;
          const times = Number(request.header.get("x-times"));
          const { message } = response;
          return {
            ...response,
            message: (async function* () {
              for await (const one of message) for (let i = 0; i < times; i++) yield one;
            })(),
          };
        };
        return { router: { interceptors: [multiply] } };
      },
    ),
    async run(client, probe) {
      for (const times of ["0", "2"]) {
        await client.collect(numbered(1), { headers: { "x-times": times } }).catch((error: ConnectError) => {
          probe.log(
            "error",
            error.code,
            /^protocol error: (missing response|received extra)/.test(error.rawMessage),
          );
        });
      }
    },
  },
];
