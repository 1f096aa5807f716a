import type { DescMethod } from "@bufbuild/protobuf";
import { Code, codeName } from "../base/code.js";
import {
  type HedgingPolicy,
  type MethodConfig,
  type MethodRules,
  type RetryPolicy,
  type RetryThrottling,
  resolveMethodConfig,
} from "./policy.js";

/** A status code as a service config writes it: gRPC's name, or its number. */
export type ServiceConfigCode = string | number;

/**
 * The parts of gRPC's service config that say something about retries (`service_config.proto` in JSON, gRFC A6).
 * Durations are strings like `"0.1s"`. What else such an object holds is ignored.
 */
export interface ServiceConfig {
  readonly methodConfig?: readonly ServiceMethodConfig[];
  readonly retryThrottling?: RetryThrottling;
}

/** One entry: the methods it is for, and what holds for them. */
export interface ServiceMethodConfig {
  /** A method, a whole service, or with `{}` everything. The most precise name wins. */
  readonly name: readonly { readonly service?: string; readonly method?: string }[];
  readonly waitForReady?: boolean;
  readonly timeout?: string;
  readonly retryPolicy?: {
    readonly maxAttempts: number;
    readonly initialBackoff: string;
    readonly maxBackoff: string;
    readonly backoffMultiplier: number;
    readonly retryableStatusCodes: readonly ServiceConfigCode[];
  };
  readonly hedgingPolicy?: {
    readonly maxAttempts: number;
    readonly hedgingDelay?: string;
    readonly nonFatalStatusCodes?: readonly ServiceConfigCode[];
  };
}

/**
 * Reads a service config.
 *
 * @throws TypeError or RangeError that names the entry, also for two entries with one name.
 */
export function readServiceConfig(config: ServiceConfig): {
  readonly rules: (method: DescMethod) => MethodRules | undefined;
  readonly throttling: RetryThrottling | undefined;
} {
  const byName = new Map<string, MethodRules>();
  const entries = config.methodConfig ?? [];
  for (const [index, entry] of entries.entries()) {
    const where = `serviceConfig.methodConfig[${index}]`;
    if (!Array.isArray(entry.name)) throw new TypeError(`${where}.name must be a list of names`);
    const rules = resolveMethodConfig(where, methodConfig(where, entry));
    for (const { service = "", method = "" } of entry.name) {
      if (service === "" && method !== "") {
        throw new TypeError(`${where}: the name of method ${method} lacks its service`);
      }
      const name = `${service}/${method}`;
      if (byName.has(name)) throw new TypeError(`${where}: ${name} has an entry already`);
      byName.set(name, rules);
    }
  }
  return {
    rules: ({ parent: { typeName }, name }) =>
      byName.get(`${typeName}/${name}`) ?? byName.get(`${typeName}/`) ?? byName.get("/"),
    throttling: config.retryThrottling,
  };
}

function methodConfig(where: string, entry: ServiceMethodConfig): MethodConfig {
  const { retryPolicy, hedgingPolicy, timeout, waitForReady } = entry;
  return {
    retry: retryPolicy === undefined ? undefined : retry(`${where}.retryPolicy`, retryPolicy),
    hedging: hedgingPolicy === undefined ? undefined : hedging(`${where}.hedgingPolicy`, hedgingPolicy),
    timeoutMs: timeout === undefined ? undefined : durationMs(`${where}.timeout`, timeout),
    waitForReady,
  };
}

function retry(where: string, given: NonNullable<ServiceMethodConfig["retryPolicy"]>): RetryPolicy {
  return {
    maxAttempts: given.maxAttempts,
    initialBackoffMs: durationMs(`${where}.initialBackoff`, given.initialBackoff),
    maxBackoffMs: durationMs(`${where}.maxBackoff`, given.maxBackoff),
    backoffMultiplier: given.backoffMultiplier,
    retryableStatusCodes: codes(`${where}.retryableStatusCodes`, given.retryableStatusCodes),
  };
}

function hedging(where: string, given: NonNullable<ServiceMethodConfig["hedgingPolicy"]>): HedgingPolicy {
  return {
    maxAttempts: given.maxAttempts,
    hedgingDelayMs: durationMs(`${where}.hedgingDelay`, given.hedgingDelay ?? "0s"),
    nonFatalStatusCodes: codes(`${where}.nonFatalStatusCodes`, given.nonFatalStatusCodes ?? []),
  };
}

/** Milliseconds of a duration in protobuf's JSON, as in "1.5s". */
function durationMs(where: string, text: string): number {
  const match = /^(\d+(?:\.\d{1,9})?)s$/.exec(text);
  if (match === null)
    throw new TypeError(`${where} must be a duration like "0.1s", not ${JSON.stringify(text)}`);
  return Number(match[1]) * 1_000;
}

function codes(where: string, given: readonly ServiceConfigCode[]): Code[] {
  const known = Object.values(Code);
  return given.map((code) => {
    const found = known.find((value) => value === code || codeName(value) === code);
    if (found === undefined)
      throw new RangeError(`${where}: ${JSON.stringify(code)} is no status code of gRPC`);
    return found;
  });
}
