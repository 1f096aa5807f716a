// Responses that break rules.
import { createValidator } from "@bufbuild/protovalidate";
import { file_buf_validate_validate as theirs } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { describe, expect, it } from "vitest";
import { file_buf_validate_validate as ours } from "../../gen/buf/validate/validate_pb.js";
import { Code, type RpcError } from "../../src/index.js";
import { createValidationInterceptor, ViolationsSchema } from "../../src/protovalidate/index.js";
import { failure, goodOrder, type Orders, requests, startOrders } from "../support/orders.js";

const validation = createValidationInterceptor({ validateResponses: true });
const item = { sku: "rope", quantity: 1 };

/** One call of each kind whose answer breaks a rule, and what its caller has got before. */
const bad: Record<string, (orders: Orders, got: number[]) => Promise<unknown>> = {
  unary: ({ client }) => client.place({ ...goodOrder, coupon: "free" }),
  "server streaming": async ({ client }, got) => {
    for await (const { step } of client.watch({ number: 1, answers: [1, 0, 2] })) got.push(step);
  },
  "client streaming": ({ client }) => client.load(requests(...Array.from({ length: 10 }, () => ({ item })))),
  bidirectional: async ({ client }, got) => {
    for await (const { price } of client.haggle(requests({ offer: 1 }, { offer: 13 }))) got.push(price);
  },
};

describe.each([
  ["a server", { server: { interceptors: [validation] } }],
  ["a client", { client: { interceptors: [validation] } }],
] as const)("validateResponses on %s", (_, options) => {
  it.each(Object.entries(bad))("fails a call with a bad response: %s", async (kind, call) => {
    await using orders = await startOrders(options);
    const got: number[] = [];
    const error = await failure(call(orders, got));
    expect(error).toMatchObject({ code: Code.Internal, executed: "yes" });
    expect((error as RpcError).rawMessage).toMatch(
      /^hawser\.orders\.v1\.OrderService\/\w+ answered against the rules of its schema: hawser\.orders\.v1\.\w+Response: \w+: /,
    );
    expect((error as RpcError).findDetails(ViolationsSchema)[0]?.violations).toHaveLength(1);
    expect(got).toEqual({ "server streaming": [1], bidirectional: [2] }[kind] ?? []);
  });

  it("checks requests as ever", async () => {
    await using orders = await startOrders(options);
    expect(await failure(orders.client.place({}))).toMatchObject({
      code: Code.InvalidArgument,
      executed: "no",
    });
  });
});

describe("responses", () => {
  it("are not looked at unless asked for", async () => {
    await using orders = await startOrders({ server: { interceptors: [createValidationInterceptor()] } });
    const got: number[] = [];
    for (const call of Object.values(bad)) await call(orders, got);
    expect(got).toEqual([1, 0, 2, 2, 0]);
  });
});

describe("a validator of one's own", () => {
  it("takes the place of the default", async () => {
    const validator = createValidator({ failFast: true });
    await using orders = await startOrders({
      client: { interceptors: [createValidationInterceptor({ validator })] },
    });
    const error = (await failure(orders.client.place({ email: "nobody" }))) as RpcError;
    expect(error.findDetails(ViolationsSchema)[0]?.violations).toHaveLength(1);
  });
});

describe("the part of buf/validate/validate.proto that the tests compile with", () => {
  it("has the names, numbers and types of the whole", () => {
    for (const message of ours.messages) {
      const real = theirs.messages.find(({ typeName }) => typeName === message.typeName);
      for (const field of message.fields) {
        const { name, number, fieldKind, oneof, proto } = field;
        const same = real?.fields.find((other) => other.number === number);
        expect(same, `${message.typeName}.${name}`).toMatchObject({ name, number, fieldKind });
        expect([same?.proto.type, same?.proto.typeName, same?.oneof?.name]).toEqual([
          proto.type,
          proto.typeName,
          oneof?.name,
        ]);
      }
    }
    for (const { name, number, extendee, message } of ours.extensions) {
      const real = theirs.extensions.find((extension) => extension.name === name);
      expect(real).toMatchObject({ number, name });
      expect([real?.extendee.typeName, real?.message?.typeName]).toEqual([
        extendee.typeName,
        message?.typeName,
      ]);
    }
  });
});
