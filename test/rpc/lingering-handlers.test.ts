// Handlers that go on after their calls are over count against `limits.calls`, and those that have ended do not.
import { expect, it } from "vitest";
import { TopicService } from "../../gen/hawser/test/v1/topics_pb.js";
import { createClient, type Interceptor, type Routes } from "../../src/index.js";
import { createPair } from "../../src/testing/index.js";
import { Notes } from "../support/topics.js";

const CALLS = 2;

/** Opens and leaves more streams, one after the other, than may be open at once; then all that have begun may go on. */
async function leaveStreams(routes: Routes, interceptors: readonly Interceptor[], release: () => void) {
  const pair = createPair({ server: { routes, interceptors, limits: { calls: CALLS } } });
  const client = createClient(TopicService, pair.connection);
  const outcomes: unknown[] = [];
  for (let round = 0; round < 3; round++) {
    for (let call = 0; call < CALLS; call++) {
      const abort = new AbortController();
      const reading = client.watch({ name: "a" }, { signal: abort.signal })[Symbol.asyncIterator]().next();
      reading.catch((error: Error) => outcomes.push(error.message));
      await pair.clock.advance(50);
      abort.abort();
      await pair.clock.advance(50);
    }
    release();
    await pair.clock.advance(50);
  }
  await pair.close();
  return outcomes;
}

const passing: Interceptor = (next) => (request) => next(request);
const left = Array.from({ length: 3 * CALLS }, () => expect.stringContaining("aborted"));

it("a topic behind an interceptor", async () => {
  const routes: Routes = (router) => router.service(TopicService, { watch: ({ name }) => Notes(name) });
  expect(await leaveStreams(routes, [passing], () => undefined)).toEqual(left);
});

it("an interceptor that takes its time", async () => {
  let waiting: (() => void)[] = [];
  const slow: Interceptor = (next) => async (request) => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    return next(request);
  };
  const routes: Routes = (router) =>
    router.service(TopicService, {
      async *watch() {
        yield { number: 1 };
      },
    });
  const outcomes = await leaveStreams(routes, [slow], () => {
    for (const go of waiting.splice(0)) go();
    waiting = [];
  });
  expect(outcomes).toEqual(left);
});

it("a topic that was promised", async () => {
  const waiting: (() => void)[] = [];
  const routes: Routes = (router) =>
    router.service(TopicService, {
      watch: async ({ name }) => {
        await new Promise<void>((resolve) => waiting.push(resolve));
        return Notes(name);
      },
    });
  const outcomes = await leaveStreams(routes, [], () => {
    for (const go of waiting.splice(0)) go();
  });
  expect(outcomes).toEqual(left);
});

it("a topic whose promise is not kept counts", async () => {
  const routes: Routes = (router) =>
    router.service(TopicService, { watch: () => new Promise(() => undefined) });
  const outcomes = await leaveStreams(routes, [], () => undefined);
  expect(outcomes.slice(CALLS)).toEqual(
    Array.from({ length: 2 * CALLS }, () => expect.stringContaining("still run after they were cancelled")),
  );
});
