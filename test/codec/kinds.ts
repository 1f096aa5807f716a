// One message for each kind of field, so that none can be forgotten: what a random schema may miss is in here.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  Edition,
  type EnumDescriptorProto,
  FeatureSet_EnumType,
  FeatureSet_FieldPresence,
  FeatureSet_MessageEncoding,
  FeatureSet_Utf8Validation,
  FieldOptions_JSType,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";

/** What we write of a FieldDescriptorProto. */
interface Field {
  readonly name?: string;
  readonly number?: number;
  readonly label?: Label;
  readonly type?: Type;
  readonly typeName?: string;
  readonly defaultValue?: string;
  readonly oneofIndex?: number;
  readonly proto3Optional?: boolean;
  readonly options?: {
    readonly packed?: boolean;
    readonly jstype?: FieldOptions_JSType;
    readonly features?: {
      readonly fieldPresence?: FeatureSet_FieldPresence;
      readonly messageEncoding?: FeatureSet_MessageEncoding;
      readonly utf8Validation?: FeatureSet_Utf8Validation;
    };
  };
}
/** What we write of a DescriptorProto. */
interface Message {
  readonly name: string;
  readonly field: Field[];
  readonly oneofDecl?: { readonly name: string }[];
  readonly nestedType?: Message[];
  readonly options?: { readonly mapEntry: boolean };
}
/** What we write of an EnumDescriptorProto. */
interface Enum {
  readonly name: string;
  readonly value: { readonly name: string; readonly number: number }[];
  readonly options?: { readonly features: { readonly enumType: FeatureSet_EnumType } };
}

const SCALARS = Object.entries(Type).filter(
  (entry): entry is [string, Type] =>
    typeof entry[1] === "number" && ![Type.GROUP, Type.MESSAGE, Type.ENUM].includes(entry[1]),
);
const LONGS = [Type.INT64, Type.UINT64, Type.FIXED64, Type.SFIXED64, Type.SINT64];
const KEYS = SCALARS.filter(([, type]) => ![Type.DOUBLE, Type.FLOAT, Type.BYTES].includes(type));

const WELL_KNOWN: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    "DoubleValue FloatValue Int64Value UInt64Value Int32Value UInt32Value BoolValue StringValue BytesValue"
      .split(" ")
      .map((name) => [name, "wrappers"]),
  ),
  Struct: "struct",
  Value: "struct",
  ListValue: "struct",
  Any: "any",
  Timestamp: "timestamp",
  Duration: "duration",
  FieldMask: "field_mask",
  Empty: "empty",
};

/** Files with a message for each kind of field; the names of the messages say which. */
export function kindFiles(): FileDescriptorProto[] {
  const dependency = [...new Set(Object.values(WELL_KNOWN))].map((file) => `google/protobuf/${file}.proto`);
  const files: { syntax: string; edition?: Edition; messageType: Message[] }[] = [
    { syntax: "", messageType: [...common("proto2", true), ...onlyProto2()] },
    { syntax: "proto3", messageType: [...common("proto3", false), ...onlyProto3()] },
    {
      syntax: "editions",
      edition: Edition.EDITION_2023,
      messageType: [...common("editions", false), ...onlyEditions()],
    },
  ];
  return files.map(({ messageType, ...syntax }, index) => {
    const name = ["proto2", "proto3", "editions"][index];
    const closed: Enum = {
      name: "Closed",
      value: [
        { name: "CLOSED_ZERO", number: 0 },
        { name: "CLOSED_NEGATIVE", number: -3 },
      ],
    };
    const open: Enum = {
      name: "Open",
      value: [
        { name: "OPEN_ZERO", number: 0 },
        { name: "OPEN_BIG", number: 2 ** 31 - 1 },
      ],
    };
    const enums: Enum[] = {
      proto2: [closed],
      proto3: [open],
      editions: [open, { ...closed, options: { features: { enumType: FeatureSet_EnumType.CLOSED } } }],
    }[name as "proto2" | "proto3" | "editions"];
    const file: MessageInitShape<typeof FileDescriptorProtoSchema> = {
      ...syntax,
      // The compiler takes what `create` makes of such objects for something else than the objects.
      messageType: messageType as object[] as DescriptorProto[],
      name: `kinds/${name}.proto`,
      package: `kinds.${name}`,
      dependency,
      enumType: enums as object[] as EnumDescriptorProto[],
    };
    return create(FileDescriptorProtoSchema, file);
  });
}

/** The types that fields of every syntax may have, by a name for each. */
function types(syntax: string, closed: boolean): [string, Field][] {
  const own = `.kinds.${syntax}`;
  return [
    ...SCALARS.map(([name, type]): [string, Field] => [name.toLowerCase(), { type }]),
    [
      closed ? "closed enum" : "open enum",
      { type: Type.ENUM, typeName: `${own}.${closed ? "Closed" : "Open"}` },
    ],
    ["message", { type: Type.MESSAGE, typeName: `${own}.Inner` }],
    ...Object.keys(WELL_KNOWN).map((name): [string, Field] => [
      name,
      { type: Type.MESSAGE, typeName: `.google.protobuf.${name}` },
    ]),
  ];
}

const packable = ({ type }: Field): boolean =>
  type !== undefined && ![Type.STRING, Type.BYTES, Type.MESSAGE, Type.GROUP].includes(type);

function common(syntax: string, closed: boolean): Message[] {
  const messages: Message[] = [
    { name: "Inner", field: [{ name: "text", number: 1, type: Type.STRING, label: Label.OPTIONAL }] },
    recursive(syntax),
  ];
  for (const [name, field] of types(syntax, closed)) {
    messages.push(single(`singular ${name}`, field));
    messages.push(single(`oneof ${name}`, { ...field, oneofIndex: 0 }));
    messages.push(single(`list ${name}`, { ...field, label: Label.REPEATED }));
    messages.push(map(syntax, `map to ${name}`, Type.STRING, field));
    if (field.type !== undefined && LONGS.includes(field.type)) {
      const options = { jstype: FieldOptions_JSType.JS_STRING };
      messages.push(single(`singular jstype ${name}`, { ...field, options }));
      messages.push(single(`list jstype ${name}`, { ...field, options, label: Label.REPEATED }));
    }
    if (syntax !== "editions" && packable(field)) {
      for (const packed of [true, false]) {
        const options = { packed };
        messages.push(single(`list packed ${packed} ${name}`, { ...field, options, label: Label.REPEATED }));
      }
    }
  }
  for (const [name, type] of KEYS)
    messages.push(map(syntax, `map from ${name.toLowerCase()}`, type, { type: Type.BOOL }));
  return messages;
}

function onlyProto2(): Message[] {
  const group = single("group", { type: Type.GROUP, typeName: ".kinds.proto2.Group.Inside" });
  const groups = single("list group", {
    type: Type.GROUP,
    typeName: ".kinds.proto2.ListGroup.Inside",
    label: Label.REPEATED,
  });
  const inside = [
    { name: "Inside", field: [{ name: "n", number: 3, type: Type.INT32, label: Label.OPTIONAL }] },
  ];
  return [
    { ...group, nestedType: inside },
    { ...groups, nestedType: inside },
    ...types("proto2", true).map(([name, field]) =>
      single(`required ${name}`, { ...field, label: Label.REQUIRED }),
    ),
    single("default string", { type: Type.STRING, defaultValue: "default" }),
    single("default bytes", { type: Type.BYTES, defaultValue: "\\001\\377" }),
    single("default double", { type: Type.DOUBLE, defaultValue: "-inf" }),
    single("default enum", {
      type: Type.ENUM,
      typeName: ".kinds.proto2.Closed",
      defaultValue: "CLOSED_NEGATIVE",
    }),
  ];
}

function onlyProto3(): Message[] {
  return types("proto3", false)
    .filter(([, { type }]) => type !== Type.MESSAGE)
    .map(([name, field]) => single(`optional ${name}`, { ...field, oneofIndex: 0, proto3Optional: true }));
}

function onlyEditions(): Message[] {
  const closed: Field = { type: Type.ENUM, typeName: ".kinds.editions.Closed" };
  const delimited = { features: { messageEncoding: FeatureSet_MessageEncoding.DELIMITED } };
  const implicit = { features: { fieldPresence: FeatureSet_FieldPresence.IMPLICIT } };
  const required = { features: { fieldPresence: FeatureSet_FieldPresence.LEGACY_REQUIRED } };
  const loose = { features: { utf8Validation: FeatureSet_Utf8Validation.NONE } };
  const all = types("editions", false);
  const messages = all.filter(([, { type }]) => type === Type.MESSAGE);
  return [
    single("singular closed enum", closed),
    single("oneof closed enum", { ...closed, oneofIndex: 0 }),
    single("list closed enum", { ...closed, label: Label.REPEATED }),
    map("editions", "map to closed enum", Type.STRING, closed),
    ...all.map(([name, field]) => single(`required ${name}`, { ...field, options: required })),
    ...all
      .filter(([, { type }]) => type !== Type.MESSAGE)
      .map(([name, field]) => single(`implicit ${name}`, { ...field, options: implicit })),
    ...messages.flatMap(([name, field]) => [
      single(`delimited ${name}`, { ...field, options: delimited }),
      single(`delimited oneof ${name}`, { ...field, options: delimited, oneofIndex: 0 }),
      single(`delimited list ${name}`, { ...field, options: delimited, label: Label.REPEATED }),
    ]),
    single("loose string", { type: Type.STRING, options: loose }),
  ];
}

/** A message with one field, and another behind it, so that nothing is last by accident. */
function single(name: string, field: Field): Message {
  const behind: Field = { name: "behind", number: 300, type: Type.STRING, label: Label.OPTIONAL };
  return {
    name: messageName(name),
    field: [{ name: "field", number: 2, label: Label.OPTIONAL, ...field }, behind],
    oneofDecl:
      field.oneofIndex === undefined ? [] : [{ name: field.proto3Optional === true ? "_field" : "choice" }],
  };
}

function map(syntax: string, name: string, key: Type, value: Field): Message {
  const entry = {
    name: "FieldEntry",
    field: [
      { name: "key", number: 1, label: Label.OPTIONAL, type: key },
      { name: "value", number: 2, label: Label.OPTIONAL, ...value },
    ],
    options: { mapEntry: true },
  };
  const typeName = `.kinds.${syntax}.${messageName(name)}.FieldEntry`;
  return { ...single(name, { type: Type.MESSAGE, typeName, label: Label.REPEATED }), nestedType: [entry] };
}

function recursive(syntax: string): Message {
  const typeName = `.kinds.${syntax}.Recursive`;
  const field: Field = { type: Type.MESSAGE, typeName };
  return single("recursive", field);
}

function messageName(name: string): string {
  return name.replace(/(?:^|[ _])(\w)/g, (_, letter: string) => letter.toUpperCase());
}
