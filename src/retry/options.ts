import type { DescMethod } from "@bufbuild/protobuf";
import { checkFunction, checkInteger, checkKeys } from "../base/check.js";
import { methodInfo } from "../rpc/method-info.js";
import {
  type MethodConfig,
  type MethodRules,
  type RetryPolicy,
  type RetryThrottling,
  resolveMethodConfig,
  resolvePolicy,
  resolveThrottling,
} from "./policy.js";
import { readServiceConfig, type ServiceConfig } from "./service-config.js";

/** How calls are attempted again. */
export interface RetryOptions {
  /**
   * For calls that may be repeated: those of methods that the schema marks IDEMPOTENT or NO_SIDE_EFFECTS, and those with
   * an idempotency key. What is left out has the defaults of {@link RetryPolicy}; `false` turns it off.
   */
  readonly policy?: Partial<RetryPolicy> | false | undefined;
  /** Configuration of single methods, whatever their schema says; `undefined` leaves a method to the rest. */
  readonly methods?: ((method: DescMethod) => MethodConfig | undefined) | undefined;
  /** The same as gRPC's service config, parsed from JSON; `methods` goes before it. */
  readonly serviceConfig?: ServiceConfig | undefined;
  /** `false` turns it off. The service config's goes before the default. */
  readonly throttling?: Partial<RetryThrottling> | false | undefined;
  /**
   * Request messages that a streaming call keeps for further attempts, in bytes; with more, or once an answer has
   * arrived, the call has one attempt only. Default 256 KiB.
   */
  readonly bufferBytes?: number | undefined;
}

/** {@link RetryOptions}, complete and checked. */
export interface RetrySettings {
  /** For calls that may be repeated. */
  readonly policy: RetryPolicy | undefined;
  /** What was configured for a method; `undefined`: there is no configuration for any. */
  readonly rules: ((method: DescMethod) => MethodRules | undefined) | undefined;
  readonly throttling: RetryThrottling | undefined;
  readonly bufferBytes: number;
}

/** Only calls that certainly did not run are attempted again. */
export const NO_RETRIES: RetrySettings = {
  policy: undefined,
  rules: undefined,
  throttling: undefined,
  bufferBytes: 256 * 1024,
};

/**
 * Checks options and fills in the defaults.
 *
 * @throws TypeError or RangeError that names the option.
 */
export function resolveRetryOptions(options: RetryOptions | false | undefined): RetrySettings {
  if (options === false) return NO_RETRIES;
  const { policy, methods, serviceConfig, throttling, bufferBytes } = options ?? {};
  checkKeys("retry", options ?? {}, ["policy", "methods", "serviceConfig", "throttling", "bufferBytes"]);
  checkFunction("retry.methods", methods);
  const config = serviceConfig === undefined ? undefined : readServiceConfig(serviceConfig);
  return {
    policy: policy === false ? undefined : resolvePolicy("retry.policy", policy ?? {}),
    rules: methods === undefined && config === undefined ? undefined : rulesOf(methods, config?.rules),
    throttling:
      throttling === false
        ? undefined
        : resolveThrottling("retry.throttling", throttling ?? config?.throttling ?? {}),
    bufferBytes: checkInteger("retry.bufferBytes", bufferBytes ?? NO_RETRIES.bufferBytes, 0),
  };
}

/** Looks up what was configured for a method, once per method. */
function rulesOf(
  methods: RetryOptions["methods"],
  config: ((method: DescMethod) => MethodRules | undefined) | undefined,
): (method: DescMethod) => MethodRules | undefined {
  const known = new Map<DescMethod, MethodRules | undefined>();
  return (method) => {
    if (known.has(method)) return known.get(method);
    const own = methods?.(method);
    const rules =
      own === undefined
        ? config?.(method)
        : resolveMethodConfig(`retry.methods (${methodInfo(method).name})`, own);
    known.set(method, rules);
    return rules;
  };
}
