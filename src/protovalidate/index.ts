/** Validation of messages by the rules in their schema; needs `@bufbuild/protovalidate`. */
export {
  type FieldPath,
  type FieldPathElement,
  type Violation,
  type Violations,
  ViolationsSchema,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
export { createValidationInterceptor, type ValidationOptions } from "./interceptor.js";
