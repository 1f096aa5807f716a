/** What a call came to: its value, or what it threw. */
export type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** Calls, and keeps what is thrown. */
export function outcome<T>(call: () => T): Outcome<T> {
  try {
    return { value: call() };
  } catch (error) {
    return { error };
  }
}

/** Class, name and message of what was thrown. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return `not an Error: ${String(error)}`;
  return `${Object.getPrototypeOf(error)?.constructor?.name} ${error.name}: ${error.message}`;
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

function show(value: unknown): string {
  if (Object.is(value, -0)) return "-0";
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (isObject(value)) return `${Array.isArray(value) ? "array" : (value.constructor?.name ?? "object")}`;
  return String(value);
}

/**
 * The first difference that a program could see: other values, -0 for 0, another prototype, other or differently ordered own
 * properties, attributes of properties, a view of `source` where a copy is expected, or the other way round. `undefined`: none.
 */
export function difference(
  actual: unknown,
  expected: unknown,
  source: ArrayBufferLike,
  path = "message",
): string | undefined {
  if (Object.is(actual, expected)) return undefined;
  if (!isObject(actual) || !isObject(expected)) return `${path} is ${show(actual)}, not ${show(expected)}`;
  if (Object.getPrototypeOf(actual) !== Object.getPrototypeOf(expected)) {
    return `${path} has another prototype: ${show(actual)}, not ${show(expected)}`;
  }
  if (actual instanceof Uint8Array) return viewDifference(actual, expected as Uint8Array, source, path);
  const keys = Reflect.ownKeys(actual);
  const wanted = Reflect.ownKeys(expected);
  if (keys.length !== wanted.length || keys.some((key, index) => key !== wanted[index])) {
    return `${path} has the properties [${keys.map(String).join(" ")}], not [${wanted.map(String).join(" ")}]`;
  }
  for (const key of keys) {
    const a = Object.getOwnPropertyDescriptor(actual, key) as PropertyDescriptor;
    const b = Object.getOwnPropertyDescriptor(expected, key) as PropertyDescriptor;
    const at = Array.isArray(actual) ? `${path}[${String(key)}]` : `${path}.${String(key)}`;
    if (a.writable !== b.writable || a.enumerable !== b.enumerable || a.configurable !== b.configurable) {
      return `${at} has other attributes`;
    }
    const found = difference(a.value, b.value, source, at);
    if (found !== undefined) return found;
  }
  return undefined;
}

function viewDifference(
  actual: Uint8Array,
  expected: Uint8Array,
  source: ArrayBufferLike,
  path: string,
): string | undefined {
  if (!equalBytes(actual, expected)) return `${path} holds ${hex(actual)}, not ${hex(expected)}`;
  if (expected.buffer !== source)
    return actual.buffer === source ? `${path} is a view, not a copy` : undefined;
  if (actual.buffer !== source) return `${path} is a copy, not a view`;
  return actual.byteOffset === expected.byteOffset ? undefined : `${path} is a view of another place`;
}

/** Whether two arrays hold the same bytes. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The beginning of the bytes, for people. */
export function hex(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 200)).toString("hex");
  return `${bytes.length} bytes ${text}${bytes.length > 200 ? "…" : ""}`;
}
