// Requests that break rules, on a server and on a client, over real connections.
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { Code, type Interceptor, RpcError } from "../../src/index.js";
import { createValidationInterceptor, ViolationsSchema } from "../../src/protovalidate/index.js";
import { memoryIdempotencyStore, sqliteIdempotencyStore } from "../../src/server/index.js";
import { all, failure, goodOrder, requests, startOrders } from "../support/orders.js";

const validation = createValidationInterceptor();

/** Paths and rules of the violations in an error's details. */
function violationsOf(error: unknown): string[] {
  expect(error).toBeInstanceOf(RpcError);
  const details = (error as RpcError).findDetails(ViolationsSchema);
  expect(details).toHaveLength(1);
  return details[0]!.violations.map(({ field, ruleId, message }) => {
    const path = field?.elements.map(({ fieldName, subscript }) =>
      subscript.case === undefined ? fieldName : `${fieldName}[${subscript.value}]`,
    );
    return `${path?.join(".") ?? ""} ${ruleId} ${message ?? ""}`.trim();
  });
}

const invalid = (executed: string) => ({ code: Code.InvalidArgument, executed });

describe.each([
  ["a server", { server: { interceptors: [validation] } }, "yes"],
  ["a client", { client: { interceptors: [validation] } }, "unknown"],
  ["both", { server: { interceptors: [validation] }, client: { interceptors: [validation] } }, "unknown"],
] as const)("validation on %s", (_, options, inStream) => {
  it("lets good messages of all kinds pass", async () => {
    await using orders = await startOrders(options);
    const { client } = orders;
    expect(await client.place(goodOrder)).toMatchObject({ number: 7 });
    const watched = await all(client.watch({ number: 1, answers: [1, 2] }));
    expect(watched.map(({ step }) => step)).toEqual([1, 2]);
    const item = { sku: "rope", quantity: 1 };
    expect(await client.load(requests({ item }, { item }))).toMatchObject({ items: 2 });
    const prices = await all(client.haggle(requests({ offer: 1 }, { offer: 2 })));
    expect(prices.map(({ price }) => price)).toEqual([2, 3]);
    expect(orders.logged).toEqual([]);
  });

  it("turns a bad unary request away before the handler, with every violation in the details", async () => {
    await using orders = await startOrders(options);
    const order: typeof goodOrder = {
      email: "nobody",
      coupon: "nobody",
      items: [
        { sku: "rope", quantity: 1 },
        { sku: "r", quantity: 0 },
      ],
      payment: { case: "account", value: "7" },
    };
    const error = await failure(orders.client.place(order));
    expect(error).toMatchObject(invalid("no"));
    expect(violationsOf(error).sort()).toEqual([
      "account account.prefix an account begins with A-",
      "address required value is required",
      "email string.email must be a valid email address",
      "items[1].quantity uint32.gt_lte must be greater than 0 and less than or equal to 100",
      "items[1].sku string.min_len must be at least 3 characters",
      "place.own_coupon nobody may use the own coupon",
    ]);
    expect((error as RpcError).rawMessage).toMatch(
      /^hawser\.orders\.v1\.PlaceRequest: .+; .+; .+; and 3 more$/,
    );
    expect(orders.seen).toEqual([]);
    expect(orders.logged).toEqual([]);
  });

  it("knows required oneofs and repeated fields that are too short", async () => {
    await using orders = await startOrders(options);
    const error = await failure(
      orders.client.place({ ...goodOrder, items: [], payment: { case: undefined } }),
    );
    expect(violationsOf(error)).toEqual([
      expect.stringContaining("items repeated.min_items"),
      expect.stringContaining("payment required"),
    ]);
  });

  it("turns a bad request of a server stream away before the handler", async () => {
    await using orders = await startOrders(options);
    const error = await failure(all(orders.client.watch({ number: 0 })));
    expect(error).toMatchObject(invalid("no"));
    expect(violationsOf(error)).toEqual([expect.stringContaining("number uint32.gt")]);
    expect(orders.seen).toEqual([]);
  });

  it("ends a client stream at its first bad message, which the handler never sees", async () => {
    await using orders = await startOrders(options);
    const { client, seen } = orders;
    const item = { sku: "rope", quantity: 1 };
    const error = await failure(
      client.load(
        requests({ item }, { item: { sku: "", quantity: 1 } }, { item: { sku: "late", quantity: 1 } }),
      ),
    );
    expect(error).toMatchObject(invalid(inStream));
    expect(violationsOf(error)).toEqual([expect.stringContaining("item.sku string.min_len")]);
    expect(seen.filter((entry) => entry !== "item rope" && entry !== "load")).toEqual([]);
  });

  it("ends a bidirectional stream at its first bad message", async () => {
    await using orders = await startOrders(options);
    let answered: () => void = () => undefined;
    async function* offers() {
      const answer = new Promise<void>((resolve) => {
        answered = resolve;
      });
      yield { offer: 1 };
      await answer;
      yield { offer: 0 };
      yield { offer: 2 };
    }
    const prices: number[] = [];
    const error = await failure(
      (async () => {
        for await (const { price } of orders.client.haggle(offers())) {
          prices.push(price);
          answered();
        }
      })(),
    );
    expect(error).toMatchObject(invalid(inStream));
    expect(violationsOf(error)).toEqual([expect.stringContaining("offer uint32.gt")]);
    expect(prices).toEqual([2]);
    expect(orders.seen).toEqual(["haggle", "offer 1"]);
  });

  it("says what is wrong with rules that do not compile, of nested messages too", async () => {
    await using orders = await startOrders(options);
    const error = await failure(orders.client.break({ broken: { name: "it" } }));
    expect(error).toMatchObject({ code: Code.Internal, executed: "no" });
    expect((error as RpcError).rawMessage).toMatch(
      /^the rules of hawser\.orders\.v1\.BreakRequest cannot be applied: .+; correct its \(buf\.validate\) options/s,
    );
    expect(orders.seen).toEqual([]);
  });

  it("says so too when an expression fails at run time", async () => {
    await using orders = await startOrders(options);
    expect(await failure(orders.client.divide({ divisor: 0 }))).toMatchObject({
      code: Code.Internal,
      executed: "no",
    });
    expect(violationsOf(await failure(orders.client.divide({ divisor: 20 })))).toEqual([
      expect.stringContaining("divide"),
    ]);
    expect(await orders.client.divide({ divisor: 2 })).toBeDefined();
    expect(orders.seen).toEqual(["divide"]);
  });
});

describe("validation on a server", () => {
  const server = { interceptors: [validation] };

  it("ends the call whatever the handler makes of the error", async () => {
    await using orders = await startOrders({
      server,
      handlers: () => ({
        async load(messages) {
          let items = 0;
          try {
            for await (const _ of messages) items++;
          } catch {
            // As if the caller had ended.
          }
          return { items };
        },
        async *haggle(messages) {
          void all(messages).catch(() => undefined);
          yield { price: 1 };
          await new Promise(() => undefined);
        },
      }),
    });
    const item = { sku: "rope", quantity: 1 };
    expect(await failure(orders.client.load(requests({ item }, {})))).toMatchObject(invalid("yes"));
    expect(await failure(all(orders.client.haggle(requests({ offer: 1 }, { offer: 0 }))))).toMatchObject(
      invalid("yes"),
    );
  });

  it("does not look at what a handler does not read", async () => {
    await using orders = await startOrders({
      server,
      handlers: () => ({ load: async () => ({ items: 0 }) }),
    });
    expect(await orders.client.load(requests({}, {}))).toMatchObject({ items: 0 });
  });

  it("lets a handler leave its requests early", async () => {
    await using orders = await startOrders({
      server,
      handlers: () => ({
        async load(messages) {
          for await (const _ of messages) return { items: 1 };
          return { items: 0 };
        },
      }),
    });
    const item = { sku: "rope", quantity: 1 };
    expect(await orders.client.load(requests({ item }, {}))).toMatchObject({ items: 1 });
  });

  it("keeps details within what an error can carry, however much is wrong", async () => {
    await using orders = await startOrders({ server });
    const items = Array.from({ length: 1_000 }, () => ({ sku: "", quantity: 0 }));
    const error = await failure(orders.client.place({ ...goodOrder, items } as typeof goodOrder));
    expect(error).toMatchObject(invalid("no"));
    expect((error as RpcError).rawMessage).toMatch(/; and 1997 more$/);
    const { length } = violationsOf(error);
    expect(length).toBeGreaterThan(50);
    expect(length).toBeLessThan(200);
  });

  it.each([
    ["memory", () => memoryIdempotencyStore()],
    ["SQLite", () => sqliteIdempotencyStore({ database: new DatabaseSync(":memory:") })],
  ])("keeps nothing under the key of a bad request, so that a good one may have it: %s", async (_, store) => {
    await using orders = await startOrders({ server: { ...server, idempotencyStore: store() } });
    const { client, seen } = orders;
    const key = { idempotencyKey: "order-1" };
    for (let time = 1; time <= 2; time++) {
      const error = await failure(client.place({ ...goodOrder, email: "nobody" }, key));
      expect(error).toMatchObject(invalid("no"));
      expect(violationsOf(error)).toHaveLength(1);
    }
    expect(seen).toEqual([]);
    expect(await client.place(goodOrder, key)).toMatchObject({ number: 7 });
    // From now on the key stands for that request.
    expect(await client.place(goodOrder, key)).toMatchObject({ number: 7 });
    const other = await failure(client.place({ ...goodOrder, email: "nobody" }, key));
    expect((other as RpcError).rawMessage).toContain("a new request needs a new key");
    expect(seen).toEqual(["place"]);
  });
});

describe("validation on a client", () => {
  it("sends nothing of a bad request, and uses up no key", async () => {
    const arrived: string[] = [];
    const arrivals: Interceptor = (next) => (request) => {
      arrived.push(request.method.name);
      return next(request);
    };
    await using orders = await startOrders({
      server: { interceptors: [arrivals], idempotencyStore: memoryIdempotencyStore() },
      client: { interceptors: [validation] },
    });
    const { client } = orders;
    const key = { idempotencyKey: "order-1" };
    await failure(client.place({ ...goodOrder, email: "nobody" }, key));
    await failure(all(client.watch({ number: 0 })));
    expect(arrived).toEqual([]);
    expect(await client.place(goodOrder, key)).toMatchObject({ number: 7 });
    expect(arrived).toEqual(["Place"]);
  });

  it("fails without a connection, too", async () => {
    await using orders = await startOrders({ client: { interceptors: [validation] } });
    await orders.connection.close();
    expect(await failure(orders.client.place({}))).toMatchObject(invalid("no"));
  });

  it("passes metadata on", async () => {
    const tag: Interceptor = (next) => async (request) => {
      const response = await next(request);
      response.header.set("from", "server");
      response.trailer.set("to", "client");
      return response;
    };
    await using orders = await startOrders({
      server: { interceptors: [tag, validation] },
      client: { interceptors: [createValidationInterceptor({ validateResponses: true })] },
    });
    const got: (string | null)[] = [];
    const options = {
      onHeader: (headers: Headers) => got.push(headers.get("from")),
      onTrailer: (trailers: Headers) => got.push(trailers.get("to")),
    };
    await all(orders.client.haggle(requests({ offer: 1 }), options));
    await orders.client.load(requests(), options);
    await all(orders.client.watch({ number: 1, answers: [1] }, options));
    await orders.client.place(goodOrder, options);
    expect(got).toEqual(["server", "client", "server", "client", "server", "client", "server", "client"]);
  });
});

describe("interceptors around validation", () => {
  it("see what is turned away when they stand before it, and not when behind", async () => {
    const seen: string[] = [];
    const note =
      (name: string): Interceptor =>
      (next) =>
      async (request) => {
        seen.push(name);
        try {
          return await next(request);
        } catch (error) {
          seen.push(`${name} ${(error as RpcError).executed}`);
          throw error;
        }
      };
    await using orders = await startOrders({
      server: { interceptors: [note("before"), validation, note("behind")] },
    });
    await failure(orders.client.place({}));
    expect(seen).toEqual(["before", "before no"]);
  });
});

describe("options", () => {
  it("are checked when they are given", () => {
    const wrong = (options: object) => () => createValidationInterceptor(options);
    expect(wrong({ validateResponse: true })).toThrow(/no option "validateResponse"/);
    expect(wrong({ validator: {} })).toThrow(/validator must be what createValidator\(\)/);
    expect(wrong({ validator: null })).toThrow(/validator must be what createValidator\(\)/);
    expect(wrong({ validateResponses: 1 })).toThrow(/validateResponses must be true or false/);
  });
});
