/** Checks of options, when they are given. Each throws a `RangeError` or `TypeError` that names the option. */

/** A whole number from `min` to `max`. */
export function checkInteger(
  name: string,
  value: unknown,
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${name} must be a whole number from ${min} to ${max}, not ${String(value)}`);
  }
  return value;
}

/** A number of milliseconds, not negative; `Infinity` where the option allows "never". */
export function checkDuration(name: string, value: unknown, allowInfinity = false): number {
  if (
    typeof value === "number" &&
    value >= 0 &&
    (Number.isFinite(value) || (allowInfinity && value === Number.POSITIVE_INFINITY))
  ) {
    return value;
  }
  throw new RangeError(
    `${name} must be a number of milliseconds from 0 up${allowInfinity ? ", or Infinity" : ""}, not ${String(value)}`,
  );
}

/** A function, or `undefined`. */
export function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "function")
    throw new TypeError(`${name} must be a function, not ${typeof value}`);
}

/** Throws for keys of `options` that are not in `known`, so that a misspelt option is never silently ignored. */
export function checkKeys(what: string, options: object, known: readonly string[]): void {
  for (const key of Object.keys(options)) {
    if (!known.includes(key))
      throw new TypeError(`${what} has no option "${key}"; known are ${known.join(", ")}`);
  }
}
