// Streams of checked messages, step by step.
import { expect, it } from "vitest";
import { Code, RpcError } from "../../src/index.js";
import { checked, Verdict } from "../../src/protovalidate/checked.js";

const bad = new RpcError("bad", Code.InvalidArgument);

function check(message: number): void {
  if (message < 0) throw bad;
}

/** A stream whose messages come when the test says so. */
function source() {
  let resolve: (result: IteratorResult<number>) => void = () => undefined;
  let left = 0;
  const messages: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      next: () =>
        new Promise((done) => {
          resolve = done;
        }),
      async return() {
        left++;
        return { done: true, value: undefined };
      },
    }),
  };
  return { messages, send: (value: number) => resolve({ done: false, value }), left: () => left };
}

it("does not look at a message that comes after the reader has left", async () => {
  const { messages, send, left } = source();
  const failed: unknown[] = [];
  const reader = checked(messages, check, (error) => failed.push(error))[Symbol.asyncIterator]();
  const next = reader.next();
  await reader.return?.();
  send(-1);
  expect(await next).toEqual({ done: true, value: undefined });
  expect(failed).toEqual([]);
  expect(left()).toBe(1);
});

it("leaves its source at a bad message, and gives no more", async () => {
  const { messages, send, left } = source();
  const failed: unknown[] = [];
  const reader = checked(messages, check, (error) => failed.push(error))[Symbol.asyncIterator]();
  const next = reader.next();
  send(-1);
  await expect(next).rejects.toBe(bad);
  expect(failed).toEqual([bad]);
  expect(left()).toBe(1);
  expect(await reader.next()).toEqual({ done: true, value: undefined });
});

it("ends responses that somebody waits for, and those that somebody asks for later", async () => {
  const { messages, left } = source();
  const verdict = new Verdict();
  const reader = verdict.ends(messages)[Symbol.asyncIterator]();
  const waiting = reader.next();
  verdict.fail(bad);
  await expect(waiting).rejects.toBe(bad);
  await expect(reader.next()).rejects.toBe(bad);
  await reader.return?.();
  expect(left()).toBe(1);
});
