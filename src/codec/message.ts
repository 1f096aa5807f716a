import { create, type DescMessage, type Message } from "@bufbuild/protobuf";
import { codecOf, type MessageCodec } from "./codec.js";
import { type Unchecked, unusual } from "./unusual.js";

/** What fields of type bytes hold that were not sent. */
export const NO_BYTES: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/** 0 as a bigint. */
export const ZERO: bigint = BigInt(0);

/** The functions of a codec as they are generated: they give up by throwing. */
export interface CodecFunctions {
  bound(message: Unchecked): number;
  write(message: Unchecked, into: Uint8Array, at: number, strict: boolean): number;
  read(bytes: Uint8Array, from: number, to: number, depth: number): Message;
}

class Guarded implements MessageCodec {
  readonly #bound: CodecFunctions["bound"];
  readonly #write: CodecFunctions["write"];
  readonly #read: CodecFunctions["read"];

  constructor({ bound, write, read }: CodecFunctions) {
    this.#bound = bound;
    this.#write = write;
    this.#read = read;
  }

  bound(message: object): number {
    try {
      return this.#bound(message);
    } catch {
      return Number.NaN;
    }
  }

  write(message: object, into: Uint8Array, at: number, strict = false): number {
    try {
      return this.#write(message, into, at, strict);
    } catch {
      return -1;
    }
  }

  read(bytes: Uint8Array, from: number, to: number, depth = 0): Message | undefined {
    try {
      return this.#read(bytes, from, to, depth);
    } catch {
      return undefined;
    }
  }
}

/** Makes a codec of generated functions. */
export function messageCodec(functions: CodecFunctions): MessageCodec {
  return new Guarded(functions);
}

/**
 * Stands for the codec of a message type from a file that was not generated together with this one. It is looked up when it is
 * needed; while there is none, messages with such messages in them are left to protobuf-es.
 */
export function codecElsewhere(schema: DescMessage): MessageCodec {
  return {
    bound: (message) => codecOf(schema)?.bound(message) ?? Number.NaN,
    write: (message, into, at, strict) => codecOf(schema)?.write(message, into, at, strict) ?? -1,
    read: (bytes, from, to, depth) => codecOf(schema)?.read(bytes, from, to, depth),
  };
}

/** The size bound that another codec gave. */
export function bounded(bound: number): number {
  return bound >= 0 ? bound : unusual();
}

/** The position that another codec gave. */
export function written(at: number): number {
  return at >= 0 ? at : unusual();
}

/** The message that another codec gave. */
export function found(message: Message | undefined): Message {
  return message ?? unusual();
}

/**
 * Whether a message was created (by `create`, or by decoding), which fills in what an init object may leave out.
 *
 * @param strict Only those will do: the message around it was created, too, and nothing in it is converted any more.
 */
export function isCreated(message: Unchecked, typeName: string, strict: boolean): boolean {
  if (message.$typeName === typeName) {
    // Fields that were unknown when the message was read go behind the others; rare enough.
    if (message.$unknown !== undefined) unusual();
    return true;
  }
  if (strict || typeof message !== "object" || Array.isArray(message)) unusual();
  return false;
}

/** Looks at a value that stands for no value: init objects may leave fields out, created messages may not. */
export function absent(value: Unchecked, created: boolean): void {
  if (created || (value !== undefined && value !== null)) unusual();
}

/**
 * Whether a field with presence has a value. In a created message it must be its own: what it inherits is the field's default.
 */
export function isSet(message: Unchecked, name: string, value: Unchecked, created: boolean): boolean {
  if (value === undefined) return false;
  if (value !== null) return !created || Object.hasOwn(message, name);
  absent(value, created);
  return false;
}

/** The object that created messages inherit the defaults of their fields from, where they do. */
export function prototypeOf(schema: DescMessage): object | null {
  return Object.getPrototypeOf(create(schema));
}

/** How many elements a repeated field has. Whatever is no array, such as a typed array, is unusual. */
export function elements(value: Unchecked, created: boolean): number {
  if (Array.isArray(value)) return value.length;
  absent(value, created);
  return 0;
}

/** A oneof: an object that names a field, or nothing. */
export function oneof(value: Unchecked, created: boolean): Unchecked {
  if (value === undefined || value === null) absent(value, created);
  return value;
}

/** An upper bound of a text with its length. */
export function textBound(value: Unchecked): number {
  if (typeof value === "string") return value.length * 3 + 5;
  if (value !== undefined && value !== null) unusual();
  return 0;
}

/** An upper bound of bytes with their length. */
export function bytesBound(value: Unchecked): number {
  if (value instanceof Uint8Array) return value.length + 5;
  if (value !== undefined && value !== null) unusual();
  return 0;
}

/** The keys of a map field. */
export function mapKeys(value: Unchecked, created: boolean): string[] {
  if (value === undefined || value === null) {
    absent(value, created);
    return [];
  }
  if (typeof value !== "object" || Array.isArray(value)) unusual();
  return Object.keys(value);
}

/** The number in a map's key, read as protobuf-es reads it. */
export function numberKey(key: string): number {
  // biome-ignore lint/correctness/useParseIntRadix: so does protobuf-es, which takes "0x10" for 16
  return Number.parseInt(key);
}

/** The 64-bit number in a map's key. */
export function longKey(key: string): bigint {
  return /^-?\d+$/.test(key) ? BigInt(key) : unusual();
}

/** The bool in a map's key. */
export function boolKey(key: string): boolean {
  return key === "true" ? true : key === "false" ? false : unusual();
}

/** The 64-bit number in a field that is a string (`jstype = JS_STRING`). */
export function longFromText(text: Unchecked): bigint {
  return typeof text === "string" && /^-?\d+$/.test(text) ? BigInt(text) : unusual();
}

/** Sets an entry of a map; a key may be any text. */
export function setEntry(map: Unchecked, key: string | number | bigint | boolean, value: Unchecked): void {
  if (key === "__proto__") {
    Object.defineProperty(map, key, { value, writable: true, enumerable: true, configurable: true });
  } else map[key as string] = value;
}
