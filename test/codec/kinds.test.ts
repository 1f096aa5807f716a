import type { DescMessage } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, it } from "vitest";
import { SeededRandom } from "../support/random.js";
import { Checker, noFigures } from "./check.js";
import { generate } from "./generate.js";
import { kindFiles } from "./kinds.js";
import { randomMessage } from "./values.js";

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
});
