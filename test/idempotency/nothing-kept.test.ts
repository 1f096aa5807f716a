// What a guard keeps of keys, of who calls with them, and of calls that wait, ends with them.
import { expect, it } from "vitest";
import { codeName } from "../../src/base/code.js";
import type { RpcError } from "../../src/base/error.js";
import { Guard } from "../../src/idempotency/guard.js";
import type { IdempotencyStore } from "../../src/idempotency/store.js";
import { endFrame } from "../../src/rpc/ending.js";
import type { Admission, GuardedCall } from "../../src/rpc/guard.js";
import { memoryIdempotencyStore } from "../../src/server/index.js";

const host = { wallClock: () => 0, after: () => () => undefined, onError: () => undefined };

class Call implements GuardedCall {
  readonly name = "package.Service/Method";
  finished = false;
  outcome: string | undefined;
  readonly identity: string;
  readonly key = "key";
  readonly handler: (admission: Admission) => void;

  constructor(identity: string, handler: (admission: Admission) => void = () => undefined) {
    this.identity = identity;
    this.handler = handler;
  }

  run(admission: Admission): void {
    this.handler(admission);
  }
  answer(): void {
    this.outcome = "answered";
  }
  replay(): void {
    this.outcome = "replayed";
  }
  reject({ code }: RpcError): void {
    this.outcome = codeName(code);
  }
  abort(): void {
    this.outcome = "aborted";
  }
}

const request = new Uint8Array(0);
const good = endFrame(1, undefined, undefined, undefined, "answered");

it("identities go with their last key, also where everything is answered at once", () => {
  const guard = new Guard(memoryIdempotencyStore(), host);
  for (let i = 0; i < 10; i++) {
    for (const expected of ["answered", "replayed"]) {
      const call = new Call(`identity ${i}`, (admission) => admission.ended(good, true));
      guard.enter(call, request);
      expect(call.outcome).toBe(expected);
    }
  }
  expect(guard.size).toBe(0);
  expect(guard.identities).toBe(0);
});

it("calls that wait for a key and are cancelled do not pile up", () => {
  const guard = new Guard(memoryIdempotencyStore(), host);
  let running: Admission | undefined;
  guard.enter(
    new Call("ada", (admission) => {
      running = admission;
    }),
    request,
  );
  for (let i = 0; i < 100; i++) {
    const call = new Call("ada");
    guard.enter(call, request);
    call.finished = true;
  }
  expect(guard.waiting).toBeLessThan(2);
  const last = new Call("ada");
  guard.enter(last, request);
  running?.ended(good, true);
  expect(last.outcome).toBe("replayed");
  expect(guard.size).toBe(0);
  expect(guard.identities).toBe(0);
});

it("a store that answers with nothing fails the call", async () => {
  const store = {
    leaseMs: Number.POSITIVE_INFINITY,
    begin: async () => undefined,
  } as unknown as IdempotencyStore;
  const guard = new Guard(store, host);
  const call = new Call("ada");
  guard.enter(call, request);
  await new Promise((resolve) => setImmediate(resolve));
  expect(call.outcome).toBe("UNAVAILABLE");
  expect(guard.size).toBe(0);
});
