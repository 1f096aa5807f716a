import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { delimited, isJson, scalarOf, tagBytes, wrapped } from "./scalars.js";

/** Most bytes of a length. */
export const LENGTH = 5;

const known = new WeakMap<DescMessage, number | null>();

/**
 * Most bytes that any message of a type can have; `undefined` when there is no such number, as with texts, lists and messages
 * that contain themselves.
 */
export function mostBytes(message: DescMessage): number | undefined {
  const found = known.get(message);
  if (found !== undefined) return found ?? undefined;
  // While it is being computed it has none: so has what contains itself.
  known.set(message, null);
  let sum = 0;
  const cases = new Map<string, number>();
  for (const field of message.fields) {
    const most = mostOfField(field);
    if (most === undefined) return undefined;
    if (field.oneof === undefined) sum += most;
    else cases.set(field.oneof.name, Math.max(cases.get(field.oneof.name) ?? 0, most));
  }
  for (const most of cases.values()) sum += most;
  // Such a message would be bounded, but with a bound nobody wants to reserve.
  if (sum > 1_024) return undefined;
  known.set(message, sum);
  return sum;
}

/** Most bytes of a field with its tag, whatever is in it. */
export function mostOfField(field: DescField): number | undefined {
  if (field.fieldKind === "list" || field.fieldKind === "map" || isJson(field)) return undefined;
  const most = mostOfValue(field);
  return most === undefined ? undefined : tagBytes(field.number, 0).length + most;
}

/** Most bytes of one value of a field, with its length or its end tag, but without its tag. */
export function mostOfValue(field: DescField): number | undefined {
  const inner = wrapped(field);
  if (inner !== undefined) {
    const most = scalarOf(inner.scalar).most;
    return most === undefined ? undefined : most + 1 + (delimited(field) ? LENGTH : 1);
  }
  if (field.message === undefined) return scalarOf(field.scalar).most;
  if (isJson(field)) return undefined;
  const most = mostBytes(field.message);
  return most === undefined ? undefined : most + LENGTH;
}
