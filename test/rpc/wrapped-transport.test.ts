// Whoever stands in front of a transport is not passed by, though clients know a shorter way than `unary`.
import { expect, it } from "vitest";
import { CounterService } from "../../gen/hawser/test/v1/counter_pb.js";
import { createClient, type Transport } from "../../src/index.js";
import { createPair } from "../../src/testing/index.js";

function world(): {
  readonly transport: Transport;
  readonly done: (call: Promise<unknown>) => Promise<void>;
} {
  const pair = createPair({
    server: {
      routes: (router) =>
        router.service(CounterService, {
          add: () => ({}),
          read: () => ({}),
          async *watch() {
            yield {};
          },
        }),
    },
  });
  const done = async (call: Promise<unknown>) => {
    let settled = false;
    const end = call.finally(() => {
      settled = true;
    });
    await pair.clock.runUntil(() => settled);
    await end;
  };
  return { transport: pair.connection, done };
}

/** `unary` of a transport, with a count. */
function counted(transport: Transport): { readonly unary: Transport["unary"]; readonly calls: () => number } {
  const { unary } = transport;
  let calls = 0;
  return {
    unary: (method, input, options) => {
      calls++;
      return unary(method, input, options);
    },
    calls: () => calls,
  };
}

it("asks the unary of a transport that is made of another", async () => {
  const { transport, done } = world();
  const { unary, calls } = counted(transport);
  const client = createClient(CounterService, { ...transport, unary });
  await done(client.read({}));
  expect(calls()).toBe(1);
});

it("asks the unary that a transport has got since", async () => {
  const { transport, done } = world();
  const client = createClient(CounterService, transport);
  const { unary, calls } = counted(transport);
  Object.assign(transport, { unary });
  await done(client.read({}));
  expect(calls()).toBe(1);
});
