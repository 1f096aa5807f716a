import { expect, it } from "vitest";
import { DoneRing } from "../../src/idempotency/done-ring.js";
import { PackedId } from "../../src/idempotency/packed-id.js";
import { seededRandom } from "../../src/testing/index.js";

it("keeps what a plain Map keeps, whatever is added and forgotten", () => {
  const random = seededRandom(3);
  const int = (below: number) => Math.floor(random() * below);
  const ring = new DoneRing();
  const packed = new PackedId();
  const model = new Map<
    string,
    { identity: string; key: string; method: string; fingerprint: number; outcome: Uint8Array }
  >();
  const name = ({ identity, key }: { identity: string; key: string }) => JSON.stringify([identity, key]);
  const identities = ["", "ada", "bób", "a\0"];
  for (let step = 0; step < 60_000; step++) {
    const id = {
      identity: identities[int(4)] as string,
      key: `${int(5_000).toString(36)}${"🔑".repeat(int(2))}`,
    };
    const known = model.get(name(id));
    packed.pack(id);
    const found = ring.get(packed);
    expect(found === undefined).toBe(known === undefined);
    if (known !== undefined && found !== undefined) {
      expect(found.shape).toEqual({ method: known.method, fingerprint: known.fingerprint });
      expect(Buffer.compare(found.outcome, known.outcome)).toBe(0);
    } else if (random() < 0.6) {
      const outcome = new Uint8Array(random() < 0.001 ? 300_000 : int(200)).map((_, i) => i * 7 + step);
      const shape = { method: `m${int(5)}`, fingerprint: step };
      ring.add(packed, shape, outcome, step);
      model.set(name(id), { ...id, ...shape, outcome });
    }
    // It grows, and shrinks to nothing from time to time.
    const bound = step % 20_000 < 12_000 ? 4_000 : 0;
    while (model.size > bound) {
      const [oldest] = model.keys();
      model.delete(oldest as string);
      ring.forgetOldest();
    }
    expect(ring.size).toBe(model.size);
  }
  while (ring.size > 0) ring.forgetOldest();
  expect(ring.bytes).toBe(0);
  expect(ring.oldestExpiry).toBe(Number.POSITIVE_INFINITY);
});
