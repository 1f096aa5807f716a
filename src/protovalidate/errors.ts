import { create, type DescMessage, toBinary } from "@bufbuild/protobuf";
import { type Violation, violationToProto } from "@bufbuild/protovalidate";
import { ViolationsSchema } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { Code } from "../base/code.js";
import { type ErrorDetail, type Executed, RpcError } from "../base/error.js";

/** Violations that the text of an error names; the details have more. */
const NAMED = 3;

/** Longest text for one violation, in UTF-16 units: paths hold the keys of maps, which a caller may choose at will. */
const MAX_TEXT = 200;

/** What violations may take of an error: details count as metadata, and `limits.headerBytes` is 16 KiB for all of it. */
const MAX_DETAIL_BYTES = 8_192;

/** A request that breaks the rules: the caller's fault. */
export function badRequest(
  schema: DescMessage,
  violations: readonly Violation[],
  cause: Error,
  executed: Executed,
): RpcError {
  return new RpcError(describe(schema, violations), Code.InvalidArgument, {
    details: [detailOf(violations)],
    executed,
    cause,
  });
}

/** A response that breaks the rules: the fault of whoever has answered. */
export function badResponse(
  schema: DescMessage,
  violations: readonly Violation[],
  cause: Error,
  method: string,
): RpcError {
  const message = `${method} answered against the rules of its schema: ${describe(schema, violations)}`;
  return new RpcError(message, Code.Internal, { details: [detailOf(violations)], executed: "yes", cause });
}

/** Rules that cannot be used: the fault of whoever wrote the schema. */
export function badRules(schema: DescMessage, cause: Error, executed: Executed): RpcError {
  const message = `the rules of ${schema.typeName} cannot be applied: ${cause.message}; correct its (buf.validate) options and generate anew, or give the validator the registry that it asks for`;
  return new RpcError(message, Code.Internal, { executed, cause });
}

function describe(schema: DescMessage, violations: readonly Violation[]): string {
  const named = violations.slice(0, NAMED).map((violation) => shortened(violation.toString()));
  const more = violations.length - named.length;
  return `${schema.typeName}: ${named.join("; ")}${more === 0 ? "" : `; and ${more} more`}`;
}

function shortened(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1)}…`;
}

/** As many of the violations as there is room for, the first ones first. */
function detailOf(violations: readonly Violation[]): ErrorDetail {
  const kept = create(ViolationsSchema);
  let bytes = 0;
  for (const violation of violations) {
    const [message, schema] = violationToProto(violation);
    // Tag and length of an entry take up to four bytes at this size.
    bytes += toBinary(schema, message).length + 4;
    if (bytes > MAX_DETAIL_BYTES) break;
    kept.violations.push(message);
  }
  return { type: ViolationsSchema.typeName, value: toBinary(ViolationsSchema, kept) };
}
