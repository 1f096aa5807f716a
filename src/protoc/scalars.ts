import { type DescEnum, type DescField, ScalarType } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";

/** What generated code calls for a scalar type: functions of `hawser/codec`. */
export interface Scalar {
  readonly write: string;
  readonly read: string;
  /** Wire type. */
  readonly wire: 0 | 1 | 2 | 5;
  /** Most bytes of a value, without its tag; `undefined` for texts and bytes. */
  readonly most: number | undefined;
  /** What stands for "no value" where fields have no presence. */
  readonly zero: "number" | "double" | "long" | "bool" | "text" | "bytes";
}

const scalars: Readonly<Record<ScalarType, Scalar>> = {
  [ScalarType.DOUBLE]: { write: "writeDouble", read: "readDouble", wire: 1, most: 8, zero: "double" },
  [ScalarType.FLOAT]: { write: "writeFloat", read: "readFloat", wire: 5, most: 4, zero: "double" },
  [ScalarType.INT64]: { write: "writeInt64", read: "readInt64", wire: 0, most: 10, zero: "long" },
  [ScalarType.UINT64]: { write: "writeUint64", read: "readUint64", wire: 0, most: 10, zero: "long" },
  [ScalarType.INT32]: { write: "writeInt32", read: "readInt32", wire: 0, most: 10, zero: "number" },
  [ScalarType.FIXED64]: { write: "writeFixed64", read: "readFixed64", wire: 1, most: 8, zero: "long" },
  [ScalarType.FIXED32]: { write: "writeFixed32", read: "readFixed32", wire: 5, most: 4, zero: "number" },
  [ScalarType.BOOL]: { write: "writeBool", read: "readBool", wire: 0, most: 1, zero: "bool" },
  [ScalarType.STRING]: { write: "writeText", read: "readText", wire: 2, most: undefined, zero: "text" },
  [ScalarType.BYTES]: { write: "writeBytes", read: "readBytes", wire: 2, most: undefined, zero: "bytes" },
  [ScalarType.UINT32]: { write: "writeUint32", read: "readUint32", wire: 0, most: 5, zero: "number" },
  [ScalarType.SFIXED32]: { write: "writeSfixed32", read: "readSfixed32", wire: 5, most: 4, zero: "number" },
  [ScalarType.SFIXED64]: { write: "writeSfixed64", read: "readSfixed64", wire: 1, most: 8, zero: "long" },
  [ScalarType.SINT32]: { write: "writeSint32", read: "readSint32", wire: 0, most: 5, zero: "number" },
  [ScalarType.SINT64]: { write: "writeSint64", read: "readSint64", wire: 0, most: 10, zero: "long" },
};

/** A scalar type; enums are written as int32. */
export function scalarOf(type: ScalarType | undefined): Scalar {
  return scalars[type ?? ScalarType.INT32];
}

/** Where a field's values are held as JSON: `google.protobuf.Struct`, except in `google.protobuf.Value`. */
export function isJson(field: DescField): boolean {
  return (
    field.message?.typeName === "google.protobuf.Struct" && field.parent.typeName !== "google.protobuf.Value"
  );
}

/** Whether a field's messages are delimited by tags, as groups are. */
export function delimited(field: DescField): boolean {
  return (
    (field.fieldKind === "message" || (field.fieldKind === "list" && field.listKind === "message")) &&
    field.delimitedEncoding
  );
}

/** The one field of a wrapper (`google.protobuf.StringValue` and so on) where a field holds its value unwrapped. */
export function wrapped(field: DescField): DescField | undefined {
  return field.fieldKind === "message" && field.oneof === undefined && isWrapperDesc(field.message)
    ? (field.message as { fields: DescField[] }).fields[0]
    : undefined;
}

/** The number that an enum field without presence holds when nothing was sent. */
export function firstNumber(desc: DescEnum | undefined): number {
  return desc?.values[0]?.number ?? 0;
}

/** Bytes of a tag. */
export function tagBytes(number: number, wire: number): number[] {
  const bytes: number[] = [];
  let rest = ((number << 3) | wire) >>> 0;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}

/** The tag as a number. */
export function tagOf(number: number, wire: number): number {
  return ((number << 3) | wire) >>> 0;
}
