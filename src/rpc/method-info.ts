import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";

/** What the schema says about calling a method twice. */
export interface MethodInfo {
  /** "package.Service/Method". */
  readonly name: string;
  /** `option (hawser.v1.once) = true`: every call carries an idempotency key. */
  readonly once: boolean;
  /** `option (hawser.v1.compression) = COMPRESSION_OFF`. */
  readonly plain: boolean;
  /** `idempotency_level` is IDEMPOTENT or NO_SIDE_EFFECTS: a second call does no harm. */
  readonly idempotent: boolean;
  /** `idempotency_level` is NO_SIDE_EFFECTS: even two at the same time do no harm. */
  readonly noSideEffects: boolean;
}

/** Number of `(hawser.v1.once)` in `google.protobuf.MethodOptions`; see `proto/hawser/v1/options.proto`. */
export const ONCE_FIELD = 72_917;

/** Number of `(hawser.v1.compression)`, and its value COMPRESSION_OFF. */
export const COMPRESSION_FIELD = 72_918;
const COMPRESSION_OFF = 1;

/** Made once per method. */
const INFOS = new WeakMap<DescMethod, MethodInfo>();

/** What the schema says about a method. */
export function methodInfo(method: DescMethod): MethodInfo {
  let info = INFOS.get(method);
  if (info === undefined) {
    const { idempotency } = method;
    const noSideEffects = idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
    info = {
      name: `${method.parent.typeName}/${method.name}`,
      once: optionOf(method, ONCE_FIELD) === 1,
      plain: optionOf(method, COMPRESSION_FIELD) === COMPRESSION_OFF,
      idempotent: noSideEffects || idempotency === MethodOptions_IdempotencyLevel.IDEMPOTENT,
      noSideEffects,
    };
    INFOS.set(method, info);
  }
  return info;
}

/** Whether a method answers with one message. */
export function answersOnce(method: DescMethod): boolean {
  return method.methodKind === "unary" || method.methodKind === "client_streaming";
}

/**
 * A small number among the options of a method. As the descriptor's own schema does not know ours, they stay among the unknown
 * fields: varints. Reading them there costs no reflection, which would be 3 kB in every bundle.
 */
function optionOf(method: DescMethod, field: number): number | undefined {
  return method.proto.options?.$unknown?.findLast(({ no }) => no === field)?.data[0];
}
