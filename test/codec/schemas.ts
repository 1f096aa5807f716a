// Random schemas: files of proto2, proto3 and edition 2023 that use each other's types and all that a field can be.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  type DescriptorProtoSchema,
  Edition,
  type EnumDescriptorProto,
  type EnumDescriptorProtoSchema,
  FeatureSet_EnumType,
  FeatureSet_FieldPresence,
  FeatureSet_MessageEncoding,
  FeatureSet_RepeatedFieldEncoding,
  FeatureSet_Utf8Validation,
  type FeatureSetSchema,
  type FieldDescriptorProtoSchema,
  FieldOptions_JSType,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import type { SeededRandom } from "../support/random.js";
import { camelCase, entryName, Names } from "./names.js";

type FieldInit = MessageInitShape<typeof FieldDescriptorProtoSchema> & { name: string; number: number };
type MessageInit = MessageInitShape<typeof DescriptorProtoSchema> & {
  name: string;
  field: FieldInit[];
  nestedType: MessageInit[];
  extension: FieldInit[];
};
type EnumInit = MessageInitShape<typeof EnumDescriptorProtoSchema>;
type Features = MessageInitShape<typeof FeatureSetSchema>;

/** A type that fields may name. */
interface Known {
  /** Full, with a dot in front, as descriptors write it. */
  readonly name: string;
  readonly kind: "message" | "enum";
  /** The file that has it. */
  readonly file: string;
  /** Enum: closed, whether values of maps may have it (first value 0), and names of values. */
  readonly closed?: boolean;
  readonly zeroFirst?: boolean;
  readonly values?: readonly string[];
  /** Message: field numbers from here on are for extensions. */
  readonly extensible?: boolean;
}

const SCALARS: readonly Type[] = [
  Type.DOUBLE,
  Type.FLOAT,
  Type.INT64,
  Type.UINT64,
  Type.INT32,
  Type.FIXED64,
  Type.FIXED32,
  Type.BOOL,
  Type.STRING,
  Type.BYTES,
  Type.UINT32,
  Type.SFIXED32,
  Type.SFIXED64,
  Type.SINT32,
  Type.SINT64,
];
const LONGS: readonly Type[] = [Type.INT64, Type.UINT64, Type.FIXED64, Type.SFIXED64, Type.SINT64];
const MAP_KEYS: readonly Type[] = SCALARS.filter(
  (type) => type !== Type.DOUBLE && type !== Type.FLOAT && type !== Type.BYTES,
);

const EXTENSIONS_FROM = 100_000;
const EXTENSIONS_TO = 200_000;
const MAX_NUMBER = 2 ** 29 - 1;

const wellKnown = (file: string, names: string): Known[] =>
  names.split(" ").map((name) => ({
    name: `.google.protobuf.${name}`,
    kind: "message",
    file: `google/protobuf/${file}.proto`,
  }));

const WELL_KNOWN: readonly Known[] = [
  ...wellKnown(
    "wrappers",
    "DoubleValue FloatValue Int64Value UInt64Value Int32Value UInt32Value BoolValue StringValue BytesValue",
  ),
  ...wellKnown("struct", "Struct Value ListValue"),
  ...wellKnown("any", "Any"),
  ...wellKnown("timestamp", "Timestamp"),
  ...wellKnown("duration", "Duration"),
  ...wellKnown("field_mask", "FieldMask"),
  ...wellKnown("empty", "Empty"),
];

const NULL_VALUE: Known = {
  name: ".google.protobuf.NullValue",
  kind: "enum",
  file: "google/protobuf/struct.proto",
  closed: false,
  zeroFirst: true,
  values: ["NULL_VALUE"],
};

export type Syntax = "proto2" | "proto3" | "editions";

/** Random files, each of which may use the types of those before it. `prefix` keeps files of different seeds apart. */
export function randomFiles(random: SeededRandom, prefix: string): FileDescriptorProto[] {
  const syntaxes: Syntax[] = ["proto2", "proto3", "editions"];
  const known: Known[] = [...WELL_KNOWN, NULL_VALUE];
  return Array.from({ length: 3 }, (_, index) => {
    const syntax = random.chance(0.7) ? syntaxes[index]! : random.pick(syntaxes);
    return new FileMaker(random, syntax, `${prefix}/${index}_${syntax}`, known).make();
  });
}

class FileMaker {
  readonly #random: SeededRandom;
  readonly #syntax: Syntax;
  readonly #path: string;
  readonly #package: string;
  readonly #known: Known[];
  readonly #names: Names;
  readonly #features: Features = {};
  readonly #imports = new Set<string>();

  constructor(random: SeededRandom, syntax: Syntax, path: string, known: Known[]) {
    this.#random = random;
    this.#syntax = syntax;
    this.#known = known;
    this.#names = new Names(random);
    const name = path.replaceAll("/", "_");
    this.#path = `${path}${random.pick(["", "-dash", ".dot", "/in/folder"])}.proto`;
    this.#package = random.pick([name, `class.${name}.import`, `google.${name}`]);
    if (syntax === "editions") this.#features = this.#randomFeatures(0.35);
  }

  make(): FileDescriptorProto {
    const enums = Array.from({ length: 1 + this.#random.below(2) }, () =>
      this.#enum(this.#package, this.#names),
    );
    // The skeletons come first, so that fields may name messages which come later, or their own.
    const messages = Array.from({ length: 2 + this.#random.below(4) }, () =>
      this.#skeleton(this.#package, this.#names, 0),
    );
    for (const message of messages) this.#fill(message, `${this.#package}.${message.name}`);
    const extension = this.#extensions(this.#names);
    return create(FileDescriptorProtoSchema, {
      name: this.#path,
      package: this.#package,
      dependency: [...this.#imports],
      messageType: messages as DescriptorProto[],
      enumType: enums as EnumDescriptorProto[],
      extension,
      options: { features: this.#features },
      ...(this.#syntax === "editions"
        ? { syntax: "editions", edition: Edition.EDITION_2023 }
        : { syntax: this.#syntax === "proto2" ? "" : "proto3" }),
    });
  }

  #randomFeatures(chance: number): Features {
    const random = this.#random;
    const features: Features = {};
    if (random.chance(chance)) {
      features.fieldPresence = random.pick([
        FeatureSet_FieldPresence.EXPLICIT,
        FeatureSet_FieldPresence.IMPLICIT,
      ]);
    }
    if (random.chance(chance)) {
      features.repeatedFieldEncoding = random.pick([
        FeatureSet_RepeatedFieldEncoding.PACKED,
        FeatureSet_RepeatedFieldEncoding.EXPANDED,
      ]);
    }
    if (random.chance(chance)) {
      features.messageEncoding = random.pick([
        FeatureSet_MessageEncoding.DELIMITED,
        FeatureSet_MessageEncoding.LENGTH_PREFIXED,
      ]);
    }
    if (random.chance(chance)) {
      features.utf8Validation = random.pick([
        FeatureSet_Utf8Validation.NONE,
        FeatureSet_Utf8Validation.VERIFY,
      ]);
    }
    return features;
  }

  #enum(scope: string, names: Names): EnumInit {
    const random = this.#random;
    const name = names.type();
    const closed = this.#syntax === "proto2" || (this.#syntax === "editions" && random.chance(0.4));
    const zeroFirst = !closed || random.chance(0.6);
    const numbers = [zeroFirst ? 0 : random.pick([1, 5, -1, 300])];
    for (const number of [1, 2, -1, 127, 128, 2 ** 31 - 1, -(2 ** 31), 5, 70_000]) {
      if (!numbers.includes(number) && random.chance(0.5)) numbers.push(number);
    }
    const alias = random.chance(0.2);
    if (alias) numbers.push(numbers[0]!);
    const values = numbers.map((number, index) => ({ name: `${name}_VALUE_${index}`, number }));
    this.#known.push({
      name: `.${scope}.${name}`,
      kind: "enum",
      file: this.#path,
      closed,
      zeroFirst,
      values: values.map((value) => value.name),
    });
    return {
      name,
      value: values,
      options: {
        ...(alias ? { allowAlias: true } : {}),
        ...(this.#syntax === "editions"
          ? { features: { enumType: closed ? FeatureSet_EnumType.CLOSED : FeatureSet_EnumType.OPEN } }
          : {}),
      },
    };
  }

  /** A message with its nested types, and without its fields. */
  #skeleton(scope: string, names: Names, depth: number): MessageInit {
    const random = this.#random;
    const name = names.type();
    const inside = `${scope}.${name}`;
    const extensible = this.#syntax !== "proto3" && random.chance(0.4);
    this.#known.push({ name: `.${inside}`, kind: "message", file: this.#path, extensible });
    const nestedNames = new Names(random);
    const nested = depth < 2 ? random.below(3 - depth) : 0;
    return {
      name,
      field: [],
      extension: [],
      nestedType: Array.from({ length: nested }, () => this.#skeleton(inside, nestedNames, depth + 1)),
      enumType: random.chance(0.2) ? [this.#enum(inside, nestedNames)] : [],
      extensionRange: extensible ? [{ start: EXTENSIONS_FROM, end: EXTENSIONS_TO }] : [],
    };
  }

  #fill(message: MessageInit, fullName: string): void {
    const random = this.#random;
    for (const nested of message.nestedType) this.#fill(nested, `${fullName}.${nested.name}`);
    const names = new Names(random);
    const types = new Names(random);
    for (const { name } of [...message.nestedType, ...(message.enumType ?? [])]) types.take(name ?? "");
    const numbers = new Numbers(random);
    const oneofs: string[] = [];
    const synthetic: { field: FieldInit; name: string }[] = [];
    const count = random.chance(0.05) ? 60 : random.below(13);
    for (let i = 0; i < count; i++) {
      const name = names.field();
      const number = numbers.next();
      const what = random.next();
      if (what < 0.15) this.#addMap(message, types, name, number, fullName);
      else if (what < 0.28) {
        oneofs.push(names.field());
        const members = 1 + random.below(4);
        for (let member = 0; member < members; member++) {
          const field = this.#field(
            message,
            types,
            fullName,
            member === 0 ? name : names.field(),
            member === 0 ? number : numbers.next(),
            "oneof",
          );
          field.oneofIndex = oneofs.length - 1;
          message.field.push(field);
        }
      } else {
        const field = this.#field(message, types, fullName, name, number, what < 0.5 ? "list" : "singular");
        if (field.proto3Optional === true) synthetic.push({ field, name: `_${name}` });
        message.field.push(field);
      }
    }
    // protoc puts the oneofs of `optional` behind all others.
    for (const { field, name } of synthetic) {
      field.oneofIndex = oneofs.length;
      oneofs.push(name);
    }
    message.oneofDecl = oneofs.map((name) => ({ name }));
    if (random.chance(0.15)) message.extension = this.#extensions(types);
  }

  #field(
    message: MessageInit,
    types: Names,
    fullName: string,
    name: string,
    number: number,
    where: "singular" | "list" | "oneof",
  ): FieldInit {
    const random = this.#random;
    const field: FieldInit = { name, number, jsonName: camelCase(name), label: Label.OPTIONAL };
    const { closed, values } = this.#type(field, "field", message, types, fullName);
    const options: NonNullable<FieldInit["options"]> = {};
    const isMessage = field.type === Type.MESSAGE || field.type === Type.GROUP;
    if (LONGS.includes(field.type!) && random.chance(0.3)) {
      options.jstype = random.pick([
        FieldOptions_JSType.JS_STRING,
        FieldOptions_JSType.JS_STRING,
        FieldOptions_JSType.JS_NUMBER,
      ]);
    }
    const features: Features = {};
    if (where === "list") {
      field.label = Label.REPEATED;
      const packable = !isMessage && field.type !== Type.STRING && field.type !== Type.BYTES;
      if (packable && this.#syntax !== "editions" && random.chance(0.5)) options.packed = random.chance(0.5);
      if (packable && this.#syntax === "editions" && random.chance(0.4)) {
        features.repeatedFieldEncoding = random.pick([
          FeatureSet_RepeatedFieldEncoding.PACKED,
          FeatureSet_RepeatedFieldEncoding.EXPANDED,
        ]);
      }
    }
    let explicit = this.#syntax === "proto2" || where === "oneof";
    if (where === "singular") {
      if (this.#syntax === "proto2" && random.chance(0.06)) field.label = Label.REQUIRED;
      else if (this.#syntax === "proto3" && random.chance(0.3)) field.proto3Optional = true;
      else if (this.#syntax === "editions") {
        // A closed enum, as a message, cannot be without presence.
        const inherited = this.#features.fieldPresence ?? FeatureSet_FieldPresence.EXPLICIT;
        let presence = inherited;
        if (random.chance(0.06)) presence = FeatureSet_FieldPresence.LEGACY_REQUIRED;
        else if (closed === true) presence = FeatureSet_FieldPresence.EXPLICIT;
        else if (!isMessage && random.chance(0.5)) {
          presence = random.pick([FeatureSet_FieldPresence.IMPLICIT, FeatureSet_FieldPresence.EXPLICIT]);
        }
        if (presence !== inherited) features.fieldPresence = presence;
        explicit = presence !== FeatureSet_FieldPresence.IMPLICIT;
      }
    }
    if (this.#syntax === "editions") {
      if (field.type === Type.STRING && random.chance(0.2)) {
        features.utf8Validation = random.pick([
          FeatureSet_Utf8Validation.NONE,
          FeatureSet_Utf8Validation.VERIFY,
        ]);
      }
      if (isMessage && random.chance(0.25)) {
        features.messageEncoding = random.pick([
          FeatureSet_MessageEncoding.DELIMITED,
          FeatureSet_MessageEncoding.LENGTH_PREFIXED,
        ]);
      }
      options.features = features;
    }
    if (explicit && where !== "list" && this.#syntax !== "proto3" && !isMessage && random.chance(0.4)) {
      field.defaultValue =
        field.type === Type.ENUM ? random.pick(values!) : random.pick(DEFAULTS[field.type!] ?? [""]);
    }
    field.options = options;
    return field;
  }

  /** Gives the field a type; for an enum, answers what is known of it. */
  #type(
    field: FieldInit,
    use: "field" | "value",
    message?: MessageInit,
    types?: Names,
    fullName?: string,
  ): Partial<Known> {
    const random = this.#random;
    const what = random.next();
    if (what < 0.55) {
      field.type = random.pick(SCALARS);
      return {};
    }
    if (what < 0.67) {
      const enums = this.#known.filter(
        // Open enums only, where closed ones are not allowed: proto3.
        ({ kind, closed, zeroFirst }) =>
          kind === "enum" &&
          (this.#syntax !== "proto3" || closed === false) &&
          (use === "field" || zeroFirst === true),
      );
      return this.#refer(field, Type.ENUM, random.pick(enums));
    }
    if (what < 0.72 && this.#syntax === "proto2" && message !== undefined && types !== undefined) {
      // A group declares its own message, beside the fields of the message that it is in.
      const group: MessageInit = { name: types.type(), field: [], nestedType: [], extension: [] };
      message.nestedType.push(group);
      const known: Known = { name: `.${fullName}.${group.name}`, kind: "message", file: this.#path };
      const numbers = new Numbers(random);
      const names = new Names(random);
      const count = random.below(4);
      for (let i = 0; i < count; i++) {
        const member = this.#field(
          group,
          new Names(random),
          known.name.slice(1),
          names.field(),
          numbers.next(),
          random.chance(0.3) ? "list" : "singular",
        );
        if (member.type !== Type.GROUP) group.field.push(member);
      }
      group.nestedType = [];
      return this.#refer(field, Type.GROUP, known);
    }
    const messages = this.#known.filter(
      ({ kind, file }) => kind === "message" && !file.startsWith("google/"),
    );
    return this.#refer(field, Type.MESSAGE, random.pick(random.chance(0.35) ? WELL_KNOWN : messages));
  }

  #refer(field: FieldInit, type: Type, known: Known): Known {
    field.type = type;
    field.typeName = known.name;
    if (known.file !== this.#path) this.#imports.add(known.file);
    return known;
  }

  #addMap(message: MessageInit, types: Names, name: string, number: number, fullName: string): void {
    const entry = entryName(name);
    if (!types.take(entry)) return;
    const key: FieldInit = {
      name: "key",
      number: 1,
      jsonName: "key",
      label: Label.OPTIONAL,
      type: this.#random.pick(MAP_KEYS),
    };
    const value: FieldInit = { name: "value", number: 2, jsonName: "value", label: Label.OPTIONAL };
    this.#type(value, "value");
    message.nestedType.push({
      name: entry,
      field: [key, value],
      nestedType: [],
      extension: [],
      options: { mapEntry: true },
    });
    message.field.push({
      name,
      number,
      jsonName: camelCase(name),
      label: Label.REPEATED,
      type: Type.MESSAGE,
      typeName: `.${fullName}.${entry}`,
    });
  }

  /** Extensions of messages that take them. */
  #extensions(names: Names): FieldInit[] {
    const extendable = this.#known.filter(({ extensible }) => extensible === true);
    if (extendable.length === 0 || this.#syntax === "proto3") return [];
    const numbers = new Set<number>();
    const fields: FieldInit[] = [];
    for (let i = this.#random.below(3); i > 0; i--) {
      const extendee = this.#random.pick(extendable);
      const number = EXTENSIONS_FROM + this.#random.below(EXTENSIONS_TO - EXTENSIONS_FROM);
      if (numbers.has(number)) continue;
      numbers.add(number);
      const list = this.#random.chance(0.3);
      const field: FieldInit = {
        name: names.plain(),
        number,
        extendee: extendee.name,
        label: list ? Label.REPEATED : Label.OPTIONAL,
      };
      field.jsonName = camelCase(field.name);
      this.#type(field, "field");
      if (extendee.file !== this.#path) this.#imports.add(extendee.file);
      fields.push(field);
    }
    return fields;
  }
}

/** Field numbers of one message: mostly small, at times at an edge, where tags get a byte longer. */
class Numbers {
  readonly #random: SeededRandom;
  readonly #taken = new Set<number>();

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  next(): number {
    for (;;) {
      const number = this.#candidate();
      if (this.#taken.has(number) || (number >= 19_000 && number < 20_000)) continue;
      this.#taken.add(number);
      return number;
    }
  }

  #candidate(): number {
    const what = this.#random.next();
    if (what < 0.6) return 1 + this.#random.below(20);
    if (what < 0.8) return 1 + this.#random.below(3_000);
    if (what < 0.9)
      return this.#random.pick([15, 16, 2_047, 2_048, 262_143, 262_144, 33_554_431, 33_554_432]);
    if (what < 0.95) return MAX_NUMBER - this.#random.below(4);
    return EXTENSIONS_TO + this.#random.below(MAX_NUMBER - EXTENSIONS_TO);
  }
}

const INTEGERS = ["0", "1", "-1", "2147483647", "-2147483648"];
const UNSIGNED = ["0", "1", "4294967295"];
const INTEGERS_64 = [...INTEGERS, "9223372036854775807", "-9223372036854775808", "9007199254740993"];
const UNSIGNED_64 = [...UNSIGNED, "18446744073709551615"];
const FLOATS = ["0", "-0", "1.5", "-1e+30", "inf", "-inf", "nan", "3.4028234663852886e+38"];

/** Texts of default values, as descriptors have them. */
const DEFAULTS: Readonly<Partial<Record<Type, readonly string[]>>> = {
  [Type.DOUBLE]: [...FLOATS, "1.7976931348623157e+308", "5e-324"],
  [Type.FLOAT]: FLOATS,
  [Type.INT32]: INTEGERS,
  [Type.SINT32]: INTEGERS,
  [Type.SFIXED32]: INTEGERS,
  [Type.UINT32]: UNSIGNED,
  [Type.FIXED32]: UNSIGNED,
  [Type.INT64]: INTEGERS_64,
  [Type.SINT64]: INTEGERS_64,
  [Type.SFIXED64]: INTEGERS_64,
  [Type.UINT64]: UNSIGNED_64,
  [Type.FIXED64]: UNSIGNED_64,
  [Type.BOOL]: ["true", "false"],
  [Type.STRING]: ["", "text", "grüße 🚢", 'a "quoted" \\ line\nwith \u2028 and `', "${", "*/"],
  [Type.BYTES]: ["", "plain", "\\000\\001\\377", '\\n\\t\\"\\\\', "\\303\\274"],
};
