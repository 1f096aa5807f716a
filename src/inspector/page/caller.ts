// Makes calls of methods that are known only at run time.
import {
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  fromJsonString,
  type Message,
  type Registry,
  toJsonString,
} from "@bufbuild/protobuf";
import { type CallOptions, RpcError } from "../../index.js";
import { codeText } from "../format.js";
import { server } from "./server.js";

/** What becomes of a call. */
export interface CallEvents {
  header(headers: Headers): void;
  /** A message, as JSON on several lines. */
  message(json: string): void;
  ended(outcome: CallEnd): void;
}

/** How a call ended. */
export interface CallEnd {
  readonly code: number;
  readonly message: string;
  readonly trailer: Headers;
  readonly durationMs: number;
  /** Details of the error, as JSON where the schema has their types. */
  readonly details: readonly string[];
}

/** A call under way. */
export interface OpenCall {
  /** Sends another message of a stream. @throws Error when it is not of the method's type. */
  send(json: string): void;
  /** No message follows. */
  finish(): void;
  cancel(): void;
}

/**
 * Makes a call.
 *
 * @param json its first message
 * @throws Error when that is not of the method's type.
 */
export function startCall(
  method: DescMethod,
  json: string,
  options: Pick<CallOptions, "headers" | "timeoutMs">,
  registry: Registry,
  events: CallEvents,
): OpenCall {
  const requests = new Requests();
  const parse = (text: string) =>
    fromJsonString(method.input, text.trim() === "" ? "{}" : text, { registry });
  const takesMany = method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
  if (!takesMany || json.trim() !== "") requests.push(parse(json));
  if (!takesMany) requests.end();
  const cancel = new AbortController();
  const start = performance.now();
  const show = (message: Message) =>
    events.message(toJsonString(method.output, message, { registry, prettySpaces: 2 }));
  const all = { ...options, signal: cancel.signal };

  const run = async (): Promise<Headers> => {
    if (method.methodKind === "unary") {
      const [request] = requests.all;
      const unary = method as DescMethodUnary<DescMessage, DescMessage>;
      const response = await server().unary(unary, request as Message, all);
      events.header(response.header);
      show(response.message);
      return response.trailer;
    }
    const streaming = method as DescMethodStreaming<DescMessage, DescMessage>;
    const response = await server().stream(streaming, requests, all);
    let first = true;
    for await (const message of response.message) {
      if (first) events.header(response.header);
      first = false;
      show(message);
    }
    if (first) events.header(response.header);
    return response.trailer;
  };

  run().then(
    (trailer) =>
      events.ended({ code: 0, message: "", trailer, durationMs: performance.now() - start, details: [] }),
    (thrown: unknown) => {
      const error = RpcError.from(thrown);
      events.ended({
        code: error.code,
        message: `${codeText(error.code)}: ${error.rawMessage}`,
        trailer: error.metadata,
        durationMs: performance.now() - start,
        details: error.details.map(({ type }) => {
          const schema = registry.getMessage(type);
          const found = schema === undefined ? undefined : error.findDetails(schema)[0];
          if (schema === undefined || found === undefined) return type;
          return `${type} ${toJsonString(schema, found, { registry })}`;
        }),
      });
    },
  );
  return {
    send: (text) => requests.push(parse(text)),
    finish: () => requests.end(),
    cancel: () => cancel.abort(),
  };
}

/** Messages that go out as they are written. */
class Requests implements AsyncIterable<Message> {
  readonly all: Message[] = [];
  #sent = 0;
  #over = false;
  #wake: () => void = () => undefined;

  push(message: Message): void {
    this.all.push(message);
    this.#wake();
  }

  end(): void {
    this.#over = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Message> {
    while (true) {
      const next = this.all[this.#sent];
      if (next !== undefined) {
        this.#sent++;
        yield next;
      } else if (this.#over) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}
