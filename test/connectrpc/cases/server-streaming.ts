// Server-streaming calls.
import { Code, ConnectError } from "@connectrpc/connect";
import { EchoService } from "../../../gen/hawser/test/v1/echo_pb.js";
import { own } from "../probe.js";
import { type Case, decorate, failure, numbered, serving } from "./case.js";

export const serverStreaming: readonly Case[] = [
  {
    name: "messages between headers and trailers",
    setting: serving((probe) => ({
      async *repeat(request, context) {
        decorate(context);
        probe.note("request", request.count, own(context.requestHeader));
        yield* numbered(request.count);
        context.responseTrailer.set("x-late", "set at the end");
      },
    })),
    run: (client, probe) =>
      probe.each(client.repeat({ count: 3 }, { headers: { "x-request": "r" }, ...probe.watched })),
  },
  {
    name: "no message, but headers and trailers",
    setting: serving(() => ({
      // biome-ignore lint/correctness/useYield: a stream without messages
      async *repeat(_, context) {
        decorate(context);
      },
    })),
    run: (client, probe) => probe.each(client.repeat({}, probe.watched)),
  },
  {
    name: "headers that are set after the first message come too late",
    setting: serving(() => ({
      async *repeat(_, context) {
        yield { number: 1 };
        context.responseHeader.set("x-late", "too late");
        yield { number: 2 };
      },
    })),
    run: (client, probe) => probe.each(client.repeat({}, probe.watched)),
  },
  {
    name: "an error before the first message",
    setting: serving(() => ({
      // biome-ignore lint/correctness/useYield: it fails first
      async *repeat(_, context) {
        decorate(context);
        throw failure();
      },
    })),
    run: (client, probe) => probe.each(client.repeat({}, probe.watched)),
  },
  {
    name: "an error without metadata before the first message: the headers are there",
    setting: serving(() => ({
      // biome-ignore lint/correctness/useYield: it fails first
      async *repeat(_, { responseHeader }) {
        responseHeader.set("x-header", "h");
        throw new ConnectError("nothing more", Code.NotFound);
      },
    })),
    run: (client, probe) => probe.each(client.repeat({}, probe.watched)),
  },
  {
    name: "an error after two messages",
    setting: serving(() => ({
      async *repeat(_, context) {
        decorate(context);
        yield* numbered(2, failure(Code.ResourceExhausted));
      },
    })),
    run: (client, probe) => probe.each(client.repeat({}, probe.watched)),
  },
  {
    name: "an error that is no ConnectError after a message",
    setting: serving(() => ({ repeat: () => numbered(1, new Error("the password is 1234")) })),
    run: (client, probe) => probe.each(client.repeat({})),
  },
  {
    name: "a handler that is no generator and throws at once",
    setting: serving(() => ({
      repeat: () => {
        throw failure(Code.OutOfRange);
      },
    })),
    run: (client, probe) => probe.each(client.repeat({})),
  },
  {
    name: "the context of a handler",
    setting: serving((probe) => ({
      async *repeat(_, { service, method, requestMethod, timeoutMs, signal }) {
        const left = timeoutMs() ?? Number.NaN;
        probe.note(service.typeName, method.name, requestMethod, signal.aborted);
        probe.note(left > 50_000 && left <= 60_000);
        yield { number: 1 };
      },
    })),
    run: (client, probe) => probe.each(client.repeat({}, { timeoutMs: 60_000 })),
  },
  {
    name: "the deadline passes between messages",
    setting: serving((probe) => ({
      async *repeat(_, context) {
        yield { number: 1 };
        await probe.aborted(context);
      },
    })),
    async run(client, probe) {
      await probe.each(client.repeat({}, { timeoutMs: 150 }));
      await probe.until("aborted");
    },
  },
  {
    name: "the caller cancels between messages",
    setting: serving((probe) => ({
      async *repeat(_, context) {
        try {
          yield { number: 1 };
          await probe.aborted(context);
        } finally {
          probe.note("finally");
        }
      },
    })),
    async run(client, probe) {
      const stop = new AbortController();
      const call = probe.each(client.repeat({}, { signal: stop.signal }));
      await Promise.all([probe.until("waiting"), probe.until("message")]);
      stop.abort();
      await call;
      await probe.until("finally");
    },
  },
  {
    name: "the caller breaks out of the loop, and cancels afterwards",
    setting: serving((probe) => ({
      async *repeat(_, { signal }) {
        signal.addEventListener("abort", () => probe.note("aborted"));
        yield* numbered(2);
      },
    })),
    async run(client, probe) {
      const stop = new AbortController();
      await probe.each(client.repeat({}, { signal: stop.signal, ...probe.watched }), 1);
      stop.abort();
      await probe.until("aborted");
    },
  },
  {
    name: "the signal of a stream is aborted when all is over",
    setting: serving((probe) => ({
      async *repeat(_, { signal }) {
        signal.addEventListener("abort", () => probe.note("over"));
        yield { number: 1 };
      },
    })),
    async run(client, probe) {
      await probe.each(client.repeat({}));
      await probe.until("over");
    },
  },
  {
    name: "many messages, and large ones",
    setting: serving(() => ({
      async *repeat() {
        for (let number = 1; number <= 300; number++) yield { number };
        for (let number = 1; number <= 3; number++) yield { number, body: new Uint8Array(400_000) };
      },
    })),
    run: (client, probe) => probe.each(client.repeat({})),
  },
  {
    name: "headers are there before the messages are read",
    setting: serving(() => ({
      async *repeat(_, context) {
        decorate(context);
        yield { number: 1 };
      },
    })),
    async run(_, probe, transport) {
      const { repeat } = EchoService.method;
      async function* input() {
        yield { count: 1 };
      }
      const response = await transport.stream(repeat, undefined, undefined, undefined, input());
      probe.log(response.stream, response.service.typeName, response.method.name);
      probe.log("header", own(response.header), "trailer", own(response.trailer));
      await probe.each(response.message);
      probe.log("trailer", own(response.trailer));
    },
  },
  {
    name: "none and two requests for a method that takes one",
    setting: serving(() => ({ repeat: () => numbered(1) })),
    async run(_, probe, transport) {
      const { repeat } = EchoService.method;
      for (const count of [0, 2]) {
        try {
          const input = (async function* () {
            for (let sent = 0; sent < count; sent++) yield {};
          })();
          const response = await transport.stream(repeat, undefined, undefined, undefined, input);
          for await (const _ of response.message);
        } catch (error) {
          // Both sides say it in words of their own.
          probe.log("error", error instanceof ConnectError ? error.code : error);
        }
      }
    },
  },
];
