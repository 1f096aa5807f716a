// Options of retries, from code and from gRPC's service config: what they come to, and what is refused when it is given.
import { describe, expect, it } from "vitest";
import { CounterService } from "../../gen/hawser/test/v1/counter_pb.js";
import { Code, type RetryOptions, RpcError, retryInfo, type ServiceConfig } from "../../src/index.js";
import { NO_RETRIES, resolveRetryOptions } from "../../src/retry/options.js";
import { pushBack } from "../../src/retry/push-back.js";
import { Throttle } from "../../src/retry/throttle.js";

const { read, add, watch } = CounterService.method;
const config = (methodConfig: ServiceConfig["methodConfig"]): RetryOptions => ({
  serviceConfig: { methodConfig: methodConfig ?? [] },
});

describe("options of retries", () => {
  it("have defaults, and can be turned off", () => {
    expect(resolveRetryOptions(undefined)).toMatchObject({
      policy: {
        maxAttempts: 5,
        initialBackoffMs: 100,
        maxBackoffMs: 5_000,
        backoffMultiplier: 2,
        retryableStatusCodes: [Code.Unavailable],
      },
      rules: undefined,
      throttling: { maxTokens: 100, tokenRatio: 0.1 },
      bufferBytes: 262_144,
    });
    expect(resolveRetryOptions(false)).toBe(NO_RETRIES);
    expect(resolveRetryOptions({ policy: false, throttling: false })).toMatchObject({
      policy: undefined,
      throttling: undefined,
    });
  });

  it("ask for a method's configuration once, and go to the service config when there is none", () => {
    let asked = 0;
    const { rules } = resolveRetryOptions({
      methods: (method) => {
        asked++;
        return method === read ? { retry: { maxAttempts: 2 }, timeoutMs: 5 } : undefined;
      },
      ...config([{ name: [{}], waitForReady: false }]),
    });
    for (let i = 0; i < 3; i++) {
      expect(rules?.(read)).toMatchObject({ retry: { maxAttempts: 2, initialBackoffMs: 100 }, timeoutMs: 5 });
      expect(rules?.(add)).toMatchObject({ retry: undefined, waitForReady: false });
    }
    expect(asked).toBe(2);
  });

  it("read gRPC's service config: the most precise name wins", () => {
    const service = "hawser.test.v1.CounterService";
    const retryPolicy = (maxAttempts: number, code: string | number) => ({
      maxAttempts,
      initialBackoff: "0.1s",
      maxBackoff: "1.5s",
      backoffMultiplier: 1.6,
      retryableStatusCodes: [code],
    });
    const { rules, throttling } = resolveRetryOptions({
      serviceConfig: {
        methodConfig: [
          { name: [{}], timeout: "3s" },
          { name: [{ service }], retryPolicy: retryPolicy(3, "ABORTED") },
          { name: [{ service, method: "Read" }], retryPolicy: retryPolicy(4, 8) },
          {
            name: [{ service, method: "Watch" }],
            hedgingPolicy: { maxAttempts: 3, hedgingDelay: "0.05s", nonFatalStatusCodes: ["INTERNAL"] },
          },
        ],
        retryThrottling: { maxTokens: 10, tokenRatio: 0.5 },
      },
    });
    expect(rules?.(read)).toMatchObject({
      retry: {
        maxAttempts: 4,
        initialBackoffMs: 100,
        maxBackoffMs: 1_500,
        retryableStatusCodes: [Code.ResourceExhausted],
      },
    });
    expect(rules?.(add)).toMatchObject({ retry: { maxAttempts: 3, retryableStatusCodes: [Code.Aborted] } });
    expect(rules?.(watch)).toMatchObject({
      retry: undefined,
      hedging: { maxAttempts: 3, hedgingDelayMs: 50, nonFatalStatusCodes: [Code.Internal] },
    });
    expect(throttling).toEqual({ maxTokens: 10, tokenRatio: 0.5 });
    const { rules: everything } = resolveRetryOptions(config([{ name: [{}], timeout: "3s" }]));
    expect(everything?.(add)).toMatchObject({ timeoutMs: 3_000 });
  });

  it.each<[RetryOptions, RegExp]>([
    [{ policy: { maxAttempts: 1 } }, /retry\.policy\.maxAttempts/],
    [{ policy: { initialBackoffMs: -1 } }, /initialBackoffMs/],
    [{ policy: { backoffMultiplier: 0 } }, /backoffMultiplier must be above 0/],
    [{ policy: { retryableStatusCodes: [] } }, /retryableStatusCodes is empty/],
    [{ policy: { retryableStatusCodes: [99 as Code] } }, /CODE_99 is no status code/],
    [{ policy: { attempts: 3 } as never }, /no option "attempts"/],
    [{ throttling: { maxTokens: 0 } }, /maxTokens/],
    [{ throttling: { maxTokens: 1_001 } }, /maxTokens/],
    [{ throttling: { tokenRatio: 0 } }, /tokenRatio/],
    [{ bufferBytes: -1 }, /bufferBytes/],
    [{ methods: {} as never }, /retry\.methods must be a function/],
    [
      config([{ name: [{ method: "Read" }] }]),
      /methodConfig\[0\]: the name of method Read lacks its service/,
    ],
    [config([{ name: [{}] }, { name: [{}] }]), /methodConfig\[1\]: \/ has an entry already/],
    [config([{ name: undefined as never }]), /methodConfig\[0\]\.name must be a list/],
    [
      config([{ name: [{}], timeout: "1 second" }]),
      /timeout must be a duration like "0\.1s", not "1 second"/,
    ],
    [
      config([{ name: [{}], hedgingPolicy: { maxAttempts: 2, nonFatalStatusCodes: ["NOPE"] } }]),
      /"NOPE" is no status code of gRPC/,
    ],
    [
      config([
        {
          name: [{}],
          hedgingPolicy: { maxAttempts: 2 },
          retryPolicy: {
            maxAttempts: 2,
            initialBackoff: "1s",
            maxBackoff: "1s",
            backoffMultiplier: 1,
            retryableStatusCodes: [14],
          },
        },
      ]),
      /retry and hedging exclude each other/,
    ],
  ])("refuse %j", (options, message) => {
    expect(() => resolveRetryOptions(options)).toThrow(message);
  });
});

describe("push-back", () => {
  it.each([0, 1, 999.5, 1_000, 61_234.567])("carries %d ms there and back", (delayMs) => {
    const error = new RpcError("busy", Code.Unavailable, { details: [retryInfo(delayMs)] });
    expect(pushBack(error)).toBeCloseTo(delayMs, 6);
  });

  it("is never for a negative delay, and nothing without the detail", () => {
    expect(pushBack(new RpcError("", Code.Unavailable, { details: [retryInfo(-0.5)] }))).toBe("never");
    expect(pushBack(new RpcError("", Code.Unavailable, { details: [retryInfo(-5_000)] }))).toBe("never");
    expect(pushBack(new RpcError("", Code.Unavailable))).toBeUndefined();
    expect(() => retryInfo(Number.NaN)).toThrow(RangeError);
  });
});

it("a throttle counts three decimal places of its ratio, and keeps to its bounds", () => {
  const throttle = new Throttle({ maxTokens: 3, tokenRatio: 0.0019 });
  throttle.failed();
  expect(throttle.allows).toBe(true);
  throttle.failed();
  expect(throttle.allows).toBe(false);
  // 1 token; half of 3 is 1.5: 501 successes of 0.001 each.
  for (let i = 0; i < 500; i++) throttle.succeeded();
  expect(throttle.allows).toBe(false);
  for (let i = 0; i < 2; i++) throttle.succeeded();
  expect(throttle.allows).toBe(true);
  for (let i = 0; i < 10; i++) throttle.failed();
  for (let i = 0; i < 100_000; i++) throttle.succeeded();
  throttle.failed();
  throttle.failed();
  expect(throttle.allows).toBe(false);
});
