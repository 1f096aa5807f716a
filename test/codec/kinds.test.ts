import type { DescMessage } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, it } from "vitest";
import { SeededRandom } from "../support/random.js";
import { Checker, noFigures } from "./check.js";
import { generate } from "./generate.js";
import { kindFiles } from "./kinds.js";
import { type Fields, randomMessage } from "./values.js";

describe("a codec for each kind of field", () => {
  let types: readonly DescMessage[];

  beforeAll(async () => {
    ({ messages: types } = await generate(kindFiles()));
  });

  it("is there for all of them", () => {
    for (const syntax of ["proto2", "proto3", "editions"]) {
      const own = types.filter(({ file }) => file.name === `kinds/${syntax}`);
      expect(own.length).toBeGreaterThan(150);
    }
  });

  it("writes and reads usual values by itself, as protobuf-es does", () => {
    const left: string[] = [];
    for (const schema of types) {
      const random = new SeededRandom(schema.typeName.length);
      const checker = new Checker(random);
      const figures = noFigures();
      for (let i = 0; i < 12; i++) {
        // Now and then the field is left out, which some kinds do not allow.
        const fill = i === 0 ? 0 : 1;
        const options = { depth: 3, fill, budget: { messages: 20, large: 1 }, odd: false };
        const message = randomMessage(random, schema, options);
        const bytes = checker.encode(schema, message, figures);
        if (bytes === undefined) continue;
        const decoded = checker.decode(schema, bytes, figures);
        if (decoded !== undefined) checker.encode(schema, decoded, figures);
      }
      const byCodec =
        figures.encodedByCodec === figures.encoded && figures.decodedByCodec === figures.decoded;
      if (!byCodec || figures.encoded < 20) left.push(`${schema.typeName} ${JSON.stringify(figures)}`);
    }
    expect(left).toEqual([]);
  });

  it("gives what protobuf-es gives for objects that are no plain data", () => {
    const type = (name: string): DescMessage =>
      types.find(({ typeName }) => typeName === `kinds.${name}`) as DescMessage;
    const circle: Fields = {};
    circle["field"] = circle;
    class Inherited {
      get field(): number {
        return 5;
      }
    }
    const sparse = [1, 2, 3];
    delete sparse[1];
    const values: readonly [string, Fields][] = [
      ["proto3.Recursive", circle],
      ["proto2.SingularInt32", new Inherited() as unknown as Fields],
      ["proto3.SingularInt32", new Inherited() as unknown as Fields],
      ["proto3.SingularInt32", Object.create({ field: 7 }) as Fields],
      ["proto3.SingularInt32", Object.freeze({ field: 7, behind: "behind" })],
      ["proto3.SingularInt32", new Proxy<Fields>({ field: 7 }, {})],
      ["proto3.ListInt32", { field: sparse }],
      ["proto3.ListInt32", { field: Object.freeze([1, 2, 3]) }],
      ["proto3.MapToString", { field: Object.create({ inherited: "no" }) }],
      ["proto3.MapToString", { field: new Map([["a", "b"]]) }],
      ["proto3.SingularBytes", { field: new Uint8Array(new SharedArrayBuffer(4)) }],
      ["proto3.SingularBytes", { field: new Uint8ClampedArray(3) }],
      ["proto3.SingularString", { field: "x".repeat(100_000) }],
      ["proto3.SingularString", { field: "漢".repeat(40_000) }],
    ];
    const checker = new Checker(new SeededRandom(1));
    const figures = noFigures();
    for (const [name, value] of values) checker.encode(type(name), value, figures);
    expect(figures.encoded + figures.errors).toBe(values.length);
  });
});
