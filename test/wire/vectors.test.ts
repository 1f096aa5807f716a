// The committed vectors, our codec and protobuf-es say the same.
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { PacketSchema } from "../../gen/hawser/v1/wire_pb.js";
import { decodePacket } from "../../src/wire/decode.js";
import { encodePacket } from "../../src/wire/encode.js";
import { WireError } from "../../src/wire/error.js";
import { type VectorFile, vectorFiles } from "../vectors/generate.js";
import { fromPb } from "./reference.js";

const folder = join(import.meta.dirname, "../vectors");
const files = globSync("*.json", { cwd: folder }).map((name): [string, VectorFile] => [
  basename(name),
  JSON.parse(readFileSync(join(folder, name), "utf8")) as VectorFile,
]);

it("the files are what the script generates", () => {
  expect(Object.fromEntries(files)).toEqual(vectorFiles());
});

describe.each(files)("%s", (_, { vectors }) => {
  it.each(vectors.map((vector) => [vector.note, vector] as const))("%s", (_, { hex, packet }) => {
    const bytes = new Uint8Array(Buffer.from(hex, "hex"));
    const message = fromJson(PacketSchema, packet);
    const ours = fromPb(message);
    expect(decodePacket(bytes)).toEqual(ours);
    expect(Buffer.from(encodePacket(ours)).toString("hex")).toBe(hex);
    // Other encoders may write the fields in another order.
    expect(toBinary(PacketSchema, message)).toHaveLength(bytes.length);
    expect(toJson(PacketSchema, fromBinary(PacketSchema, bytes))).toEqual(packet);
  });

  it("cut off anywhere, is refused or is a shorter packet", () => {
    for (const { hex } of vectors) {
      const bytes = new Uint8Array(Buffer.from(hex, "hex"));
      let refused = 0;
      for (let length = 0; length < bytes.length; length++) {
        const cut = bytes.slice(0, length);
        try {
          const packet = decodePacket(cut);
          // Vectors have one encoding only, so a packet that is read from a part of one is that part.
          expect(encodePacket(packet)).toEqual(cut);
        } catch (error) {
          if (!(error instanceof WireError)) throw error;
          expect(error.closeCode).toBe(1007);
          expect(error.message).toMatch(/at byte \d+$/);
          refused++;
        }
      }
      if (bytes.length > 4) expect(refused).toBeGreaterThan(0);
    }
  });
});
