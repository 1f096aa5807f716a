import type { DescField, DescFile, DescMessage } from "@bufbuild/protobuf";
import { type GeneratedFile, getDeclarationString, type Printable } from "@bufbuild/protoplugin";
import { type FileNames, type MessageNames, namesIn } from "./names.js";

/** What the parts of the generator need to know while they generate the codecs of a file. */
export interface Context {
  readonly file: GeneratedFile;
  /** A function or constant of `hawser/codec`. */
  runtime(name: string): Printable;
  /** `: type`; nothing in JavaScript. */
  typed(...type: Printable[]): Printable[];
  /** The type of what has not been looked at: `: Unchecked`. */
  unchecked(suffix?: string): Printable[];
  /** The type of a field that a message type does not know. */
  unknownField(): Printable;
  /** A function of this very file. */
  own(name: string): Printable;
  names(message: DescMessage): MessageNames;
  /** The descriptor of a message, together with its codec where it has one. */
  schema(message: DescMessage): Printable;
  /** The functions of a message's codec, wherever it comes from. */
  codec(message: DescMessage): CodecCalls;
  /** The name of the variable that holds a field's value. */
  local(member: { readonly localName: string }): string;
  /** Codecs that are looked up at run time: schemas, by the name of the constant. */
  readonly elsewhere: ReadonlyMap<string, DescMessage>;
}

/** Calls of a message's codec, as generated code writes them. */
export interface CodecCalls {
  bound(message: Printable): Printable;
  write(message: Printable, at: Printable): Printable;
  read(from: Printable, to: Printable): Printable;
}

/** Files of well-known types whose codecs come with `hawser/codec`. */
export const WELL_KNOWN: readonly string[] = [
  "google/protobuf/any",
  "google/protobuf/duration",
  "google/protobuf/empty",
  "google/protobuf/field_mask",
  "google/protobuf/struct",
  "google/protobuf/timestamp",
  "google/protobuf/wrappers",
];

/**
 * @param runtime Where the generated code imports from.
 * @param together The files that are generated in the same run.
 * @param target The language.
 */
export function createContext(
  desc: DescFile,
  file: GeneratedFile,
  runtime: string,
  together: readonly DescFile[],
  target: "ts" | "js",
): Context {
  const elsewhere = new Map<string, DescMessage>();
  const names = (of: DescFile): FileNames => namesIn(of, file);
  const own = (name: string): Printable => file.import(name, hawserPath(desc));
  const imported = (name: string): Printable => file.import(name, runtime);
  const typed = (...type: Printable[]): Printable[] => (target === "ts" ? [": ", ...type] : []);
  const foreign = (codec: Printable): CodecCalls => ({
    bound: (message) => [imported("bounded"), "(", codec, ".bound(", message, "))"],
    write: (message, at) => [
      imported("written"),
      "(",
      codec,
      ".write(",
      message,
      ", into, ",
      at,
      ", created))",
    ],
    read: (from, to) => [imported("found"), "(", codec, ".read(bytes, ", from, ", ", to, ", depth + 1))"],
  });
  return {
    file,
    elsewhere,
    own,
    runtime: imported,
    typed,
    unknownField: () => file.import("UnknownField", runtime, true),
    unchecked: (suffix = "") => typed(file.import("Unchecked", runtime, true), suffix),
    names: (message) => names(message.file).message(message),
    schema(message) {
      const plain = file.importSchema(message);
      if (together.includes(message.file)) return file.import(plain.name, hawserPath(message.file));
      if (!WELL_KNOWN.includes(message.file.name)) return plain;
      return [
        imported("withCodec"),
        "(",
        plain,
        ", ",
        imported(names(message.file).message(message).codec),
        ")",
      ];
    },
    codec(message) {
      if (message.file === desc) {
        const { bound, write, read } = names(desc).message(message);
        return {
          bound: (value) => [own(bound), "(", value, ")"],
          write: (value, at) => [own(write), "(", value, ", into, ", at, ", created)"],
          read: (from, to) => [own(read), "(bytes, ", from, ", ", to, ", depth + 1)"],
        };
      }
      const name = names(message.file).message(message).codec;
      if (together.includes(message.file)) return foreign(file.import(name, hawserPath(message.file)));
      if (WELL_KNOWN.includes(message.file.name)) return foreign(imported(name));
      const constant =
        [...elsewhere].find(([, schema]) => schema === message)?.[0] ?? `elsewhere${elsewhere.size + 1}`;
      elsewhere.set(constant, message);
      return foreign(own(constant));
    },
    local: ({ localName }) => localFor(localName),
  };
}

/** Where the code that is generated for a file is. */
export function hawserPath(desc: DescFile): string {
  return `./${desc.name}_hawser.js`;
}

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

/** Names that generated functions use themselves, and words that are no names in JavaScript. */
const RESERVED = new Set(
  (
    "Array Object Number String arguments at await bound break bytes case catch class const continue created cursor debugger default delete do " +
    "depth else end enum entry eval export extends false finally for from function globalThis i if implements import in instanceof interface " +
    "inner into key let message new null package private protected public return start static strict super switch " +
    "tag this throw to true try typeof undefined unknown value var void while with yield NaN"
  ).split(" "),
);

function localFor(localName: string): string {
  if (!IDENTIFIER.test(localName)) return `field${localName}`;
  // Names of functions and codecs, ours and imported ones, end or begin in these ways.
  const reserved =
    RESERVED.has(localName) ||
    /^(read|write|bound|elsewhere|is|set|map|long|number|bool|check|close|group|text|bytes)[A-Z_$\d]|^(absent|bounded|elements|found|unusual|written)$|^ZERO$|^NO_BYTES$|Codec|Schema|^Unchecked/.test(
      localName,
    );
  return reserved ? `${localName}$` : localName;
}

/** `message.name`, also where the name is no identifier. */
export function property(of: string, name: string): string {
  return IDENTIFIER.test(name) ? `${of}.${name}` : `${of}[${JSON.stringify(name)}]`;
}

/** `name` as a key of an object literal. */
export function keyOf(name: string): string {
  return IDENTIFIER.test(name) ? name : JSON.stringify(name);
}

/** A field as the schema declares it, for a comment of one line. */
export function declaration(field: DescField): string {
  return getDeclarationString(field).replace(/[\r\n\u2028\u2029]+/g, " ");
}
