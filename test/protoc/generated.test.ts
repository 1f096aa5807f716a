// What is generated, at work.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { create, type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { Plugin } from "@bufbuild/protoplugin";
import { build } from "esbuild";
import { codecOf, decode, encode, type MessageCodec, registerCodec } from "hawser/codec";
import { describe, expect, it } from "vitest";
import {
  createEchoServiceClient,
  EchoRequestCodec,
  EchoRequestSchema,
  EchoService,
  echoServiceRoutes,
} from "../../gen/hawser/test/v1/echo_hawser.js";
import { EchoService as PlainEchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { createTopicServiceClient, topicServiceRoutes } from "../../gen/hawser/test/v1/topics_hawser.js";
import { createPair } from "../../src/testing/pair.js";
import { Notes } from "../support/topics.js";
import { runPlugin } from "./run-plugin.js";

describe("the factories", () => {
  it("make a client and routes that talk to each other, in all four kinds and with topics", async () => {
    const pair = createPair({
      server: {
        routes(router) {
          echoServiceRoutes({
            echo: ({ id, name, body }) => ({ id, name, body }),
            async *repeat({ count, body }) {
              for (let number = 0; number < count; number++) yield { number, body };
            },
            async collect(requests) {
              const numbers: number[] = [];
              for await (const { number } of requests) numbers.push(number);
              return { numbers };
            },
            async *converse(requests) {
              for await (const request of requests) yield { number: request.number + 1 };
            },
          })(router);
          topicServiceRoutes({ watch: ({ name }) => Notes(name) })(router);
        },
      },
    });
    async function* numbers() {
      yield { number: 1 };
      yield { number: 2 };
    }
    const all = async <T>(messages: AsyncIterable<T>): Promise<T[]> => {
      const list: T[] = [];
      for await (const message of messages) list.push(message);
      return list;
    };
    const echo = createEchoServiceClient(pair.connection);
    const calls = Promise.all([
      echo.echo({ id: 7n, name: "seven" }),
      all(echo.repeat({ count: 3 })),
      echo.collect(numbers()),
      all(echo.converse(numbers())),
    ]);
    const note = createTopicServiceClient(pair.connection)
      .watch({ name: "a" })
      [Symbol.asyncIterator]()
      .next();
    await pair.clock.advance(1_000);
    await pair.publish(Notes("a"), { key: "k" });
    await pair.clock.advance(1_000);
    const [echoed, repeated, collected, conversed] = await calls;
    expect(echoed).toMatchObject({ id: 7n, name: "seven" });
    expect(repeated.map(({ number }) => number)).toEqual([0, 1, 2]);
    expect(collected.numbers).toEqual([1, 2]);
    expect(conversed.map(({ number }) => number)).toEqual([2, 3]);
    expect((await note).value).toMatchObject({ key: "k" });
    await pair.close();
  });

  it("stand on the descriptor of protoc-gen-es, for which the codecs are registered", () => {
    expect(EchoService).toBe(PlainEchoService);
    expect(codecOf(PlainEchoService.method.echo.input)).toBe(EchoRequestCodec);
  });
});

describe("encode and decode", () => {
  const init = { id: 5n, name: "näme", body: new Uint8Array([1, 2]) };

  it("give what protobuf-es gives", () => {
    const bytes = toBinary(EchoRequestSchema, create(EchoRequestSchema, init));
    expect([...encode(EchoRequestSchema, init)]).toEqual([...bytes]);
    expect(decode(EchoRequestSchema, bytes)).toEqual(fromBinary(EchoRequestSchema, bytes));
  });

  it("leave to protobuf-es what a codec does not take, and its errors are the user's", () => {
    const taken: unknown[] = [];
    const schema = { ...EchoRequestSchema } as typeof EchoRequestSchema;
    const none: MessageCodec = {
      bound(message) {
        taken.push(message);
        return Number.NaN;
      },
      write: () => -1,
      read: () => undefined,
    };
    registerCodec(schema, none);
    expect([...encode(schema, init)]).toEqual([...encode(EchoRequestSchema, init)]);
    expect(taken).toEqual([init]);
    expect(() => encode(EchoRequestSchema, { id: "no number" as never })).toThrow(
      "cannot encode field hawser.test.v1.EchoRequest.id to binary",
    );
    expect(() => decode(EchoRequestSchema, new Uint8Array([18, 200]))).toThrow("premature EOF");
  });

  it("can be called by a getter of the message that is being encoded", () => {
    const inner: Uint8Array[] = [];
    const outer = {
      id: 1n,
      get name() {
        inner.push(encode(EchoRequestSchema, { id: 2n, name: "inside" }));
        return "outside";
      },
    };
    const bytes = encode(EchoRequestSchema, outer);
    expect(decode(EchoRequestSchema, bytes)).toMatchObject({ id: 1n, name: "outside" });
    for (const each of inner)
      expect(decode(EchoRequestSchema, each)).toMatchObject({ id: 2n, name: "inside" });
  });

  it("do not write over what was encoded before", () => {
    const many = Array.from({ length: 2_000 }, (_, i) =>
      encode(EchoRequestSchema, { id: BigInt(i), name: "n".repeat(i % 97) }),
    );
    many.forEach((bytes, i) => {
      expect(decode(EchoRequestSchema, bytes)).toMatchObject({ id: BigInt(i), name: "n".repeat(i % 97) });
    });
  });

  it("do not trust a getter that gives more in the end than in the beginning", () => {
    let calls = 0;
    const growing = {
      get name() {
        return "x".repeat(++calls === 1 ? 1 : 5_000);
      },
    };
    expect(decode(EchoRequestSchema, encode(EchoRequestSchema, growing)).name).toBe("x".repeat(5_000));
  });
});

describe("a bundle of a package without side effects", () => {
  async function bundle(contents: string): Promise<string> {
    const { outputFiles } = await build({
      stdin: { contents, resolveDir: ".", loader: "ts" },
      bundle: true,
      write: false,
      format: "esm",
      minifySyntax: true,
      packages: "external",
      logLevel: "error",
    });
    return outputFiles[0]!.text;
  }

  it("has the codecs of the services that it uses", async () => {
    const text = await bundle('export { EchoService } from "./gen/hawser/test/v1/echo_hawser.ts";');
    for (const name of ["EchoRequest", "EchoResponse", "ConverseResponse"]) {
      expect(text).toContain(`"hawser.test.v1.${name}"`);
    }
  });

  it("has the codecs of the messages that it uses, and no others", async () => {
    const text = await bundle('export { PointsSchema } from "./gen/hawser/bench/v1/points_hawser.ts";');
    expect(text).toContain('"hawser.bench.v1.Points"');
    expect(text).toContain('"hawser.bench.v1.Point"');
    expect(text).not.toContain('"hawser.bench.v1.Profile"');
  });
});

describe("target=js+dts", () => {
  it("runs as it is", async () => {
    const protos = {
      "js/v1/money.proto":
        'syntax = "proto3"; package js.v1; message Money { int64 units = 1; optional string code = 2; }',
      "js/v1/shop.proto":
        'syntax = "proto3"; package js.v1; import "js/v1/money.proto"; message Order { repeated Money prices = 1; } service Shop { rpc Buy(Order) returns (Money); }',
    };
    const folder = mkdtempSync(join(mkdirIn(".tmp"), "js-"));
    try {
      const parameter = "target=js+dts,import_extension=js";
      const files = [
        ...runPlugin(protos, parameter),
        ...runPlugin(protos, parameter, undefined, protocGenEs()),
      ];
      for (const [path, text] of files) {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), text);
      }
      const paths = files.map(([path]) => path);
      expect(paths).toContain("js/v1/shop_hawser.d.ts");
      const shop = (await import(pathToFileURL(resolve(folder, "js/v1/shop_hawser.js")).href)) as {
        OrderSchema: DescMessage;
        createShopClient: unknown;
        shopRoutes: unknown;
      };
      expect(shop.createShopClient).toBeTypeOf("function");
      expect(shop.shopRoutes).toBeTypeOf("function");
      const { OrderSchema } = shop;
      expect(codecOf(OrderSchema)).toBeDefined();
      const init = { prices: [{ units: 5n, code: "EUR" }, { units: -1n }] } as unknown as Message;
      const bytes = toBinary(OrderSchema, create(OrderSchema, init));
      expect([...encode(OrderSchema, init)]).toEqual([...bytes]);
      expect(codecOf(OrderSchema)?.read(bytes, 0, bytes.length)).toEqual(fromBinary(OrderSchema, bytes));
      const declarations = files.find(([path]) => path === "js/v1/shop_hawser.d.ts")?.[1];
      expect(declarations).toContain("export interface ShopHandlers");
      expect(declarations).toContain("export declare const OrderCodec: MessageCodec;");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

function mkdirIn(path: string): string {
  mkdirSync(path, { recursive: true });
  return path;
}

/** The other plugin, which is not exported by its package. */
function protocGenEs(): Plugin {
  const require = createRequire(import.meta.url);
  const bin = require.resolve("@bufbuild/protoc-gen-es/package.json");
  const path = join(dirname(bin), "dist/cjs/src/protoc-gen-es-plugin.js");
  return (require(path) as { protocGenEs: Plugin }).protocGenEs;
}
