// Calls that stream in both directions.
import { Code } from "@connectrpc/connect";
import { deferred, seen } from "../probe.js";
import { type Case, decorate, failure, numbered, serving } from "./case.js";

export const bidirectional: readonly Case[] = [
  {
    name: "question and answer in turns",
    setting: serving(() => ({
      async *converse(requests, context) {
        decorate(context);
        for await (const { number } of requests) yield { number: number * 10 };
      },
    })),
    async run(client, probe) {
      let answered = deferred();
      async function* questions() {
        for (let number = 1; number <= 3; number++) {
          yield { number };
          await answered.promise;
          answered = deferred();
        }
      }
      try {
        for await (const { number } of client.converse(questions(), probe.watched)) {
          probe.log(number);
          answered.resolve();
        }
        probe.log("end");
      } catch (error) {
        probe.log("error", seen(error));
      }
    },
  },
  {
    name: "the caller has nothing more to say, and hears on",
    setting: serving((probe) => ({
      async *converse(requests) {
        for await (const { number } of requests) probe.note("request", number);
        probe.note("half closed");
        yield* numbered(3);
      },
    })),
    run: (client, probe) => probe.each(client.converse(numbered(2), probe.watched)),
  },
  {
    name: "nothing in either direction",
    setting: serving(() => ({
      // biome-ignore lint/correctness/useYield: a stream without messages
      async *converse(requests) {
        for await (const _ of requests);
      },
    })),
    run: (client, probe) => probe.each(client.converse(numbered(0), probe.watched)),
  },
  {
    name: "the server ends while the caller still speaks",
    setting: serving(() => ({
      async *converse(requests) {
        for await (const { number } of requests) {
          yield { number };
          return;
        }
      },
    })),
    async run(client, probe) {
      const ended = deferred();
      async function* endless() {
        try {
          for (let number = 1; ; number++) {
            yield { number };
            await new Promise((done) => setImmediate(done));
          }
        } finally {
          ended.resolve();
        }
      }
      await probe.each(client.converse(endless()));
      await ended.promise;
    },
  },
  {
    name: "an error in the middle",
    setting: serving(() => ({
      async *converse(requests, context) {
        decorate(context);
        for await (const { number } of requests) {
          if (number === 3) throw failure(Code.Aborted);
          yield { number };
        }
      },
    })),
    run: (client, probe) => probe.each(client.converse(numbered(5), probe.watched)),
  },
  {
    name: "the caller cancels",
    setting: serving((probe) => ({
      async *converse(requests, context) {
        for await (const { number } of requests) {
          yield { number };
          await probe.aborted(context);
        }
      },
    })),
    async run(client, probe) {
      const stop = new AbortController();
      const call = probe.each(client.converse(numbered(1), { signal: stop.signal }));
      await Promise.all([probe.until("waiting"), probe.until("message")]);
      stop.abort();
      await call;
      await probe.until("aborted");
    },
  },
  {
    name: "the deadline passes",
    setting: serving((probe) => ({
      async *converse(requests, context) {
        for await (const { number } of requests) {
          yield { number };
          await probe.aborted(context);
        }
      },
    })),
    async run(client, probe) {
      await probe.each(client.converse(numbered(1), { timeoutMs: 150 }));
      await probe.until("aborted");
    },
  },
];
