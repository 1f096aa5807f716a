import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import { createTestee, type Testee } from "./conformance/testee.js";
import { type Exchange, exchanges } from "./conformance/transcript.js";

/**
 * What the official runner asked in a session that it had no complaint about, and the answers of generated codecs. See the
 * README beside it.
 */
const TRANSCRIPT = join(import.meta.dirname, "conformance/transcript.gz");

describe("protobuf's conformance tests", () => {
  let session: Exchange[];
  let testee: Testee;

  beforeAll(async () => {
    session = exchanges(gunzipSync(readFileSync(TRANSCRIPT)));
    testee = await createTestee();
  });

  it("get the answers that satisfied the official runner", () => {
    expect(session.length).toBeGreaterThan(2_500);
    const differing = session.filter(({ request, response }) => !response.equals(testee.answer(request)));
    expect(differing.map(({ request }) => request.toString("hex"))).toEqual([]);
  });

  it("were answered by codecs, but for what they leave to protobuf-es", () => {
    // The rest has fields that come twice, unknown values of closed enums, and unknown fields to be written again.
    const { read, readByCodec, written, writtenByCodec } = testee.counted;
    expect(read).toBeGreaterThan(1_500);
    expect(readByCodec / read).toBeGreaterThan(0.97);
    expect(written).toBeGreaterThan(1_000);
    expect(writtenByCodec / written).toBeGreaterThan(0.97);
  });
});
