import { getExtension, getOption } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { CounterService } from "../../gen/hawser/test/v1/counter_pb.js";
import { once } from "../../gen/hawser/v1/options_pb.js";
import { methodInfo, ONCE_FIELD } from "../../src/rpc/method-info.js";

it("reads of every method what protobuf-es reads by the option's schema", () => {
  expect(ONCE_FIELD).toBe(once.number);
  for (const method of CounterService.methods) {
    expect(methodInfo(method).once, method.name).toBe(getOption(method, once));
    const { options } = method.proto;
    if (options !== undefined) expect(methodInfo(method).once).toBe(getExtension(options, once));
  }
  const levels = CounterService.methods.map((method) => {
    const { name, idempotent, noSideEffects } = methodInfo(method);
    return `${name.split("/")[1]} ${idempotent} ${noSideEffects}`;
  });
  expect(levels).toEqual([
    "Increment false false",
    "Add false false",
    "Set true false",
    "Read true true",
    "Watch true true",
    "Follow false false",
    "Sum true false",
    "Exchange false false",
  ]);
});
