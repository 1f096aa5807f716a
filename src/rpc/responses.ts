import type { DescMessage, DescMethodStreaming, DescMethodUnary, MessageShape } from "@bufbuild/protobuf";
import type { Header } from "../wire/frame.js";
import { fromWireHeaders } from "./metadata.js";
import type { StreamResponse, UnaryResponse } from "./transport.js";

/** Where a response has its metadata from. */
export interface ResponseMetadata {
  readonly responseHeaders: readonly Header[] | undefined;
  readonly trailers: readonly Header[] | undefined;
}

/** The response of a unary call. Metadata is made when somebody asks for it. */
export class UnaryResult<I extends DescMessage, O extends DescMessage> implements UnaryResponse<I, O> {
  readonly stream = false as const;
  readonly method: DescMethodUnary<I, O>;
  readonly message: MessageShape<O>;
  readonly #metadata: ResponseMetadata;
  #header: Headers | undefined;
  #trailer: Headers | undefined;

  constructor(method: DescMethodUnary<I, O>, message: MessageShape<O>, metadata: ResponseMetadata) {
    this.method = method;
    this.message = message;
    this.#metadata = metadata;
  }

  get header(): Headers {
    this.#header ??= fromWireHeaders(this.#metadata.responseHeaders);
    return this.#header;
  }

  get trailer(): Headers {
    this.#trailer ??= fromWireHeaders(this.#metadata.trailers);
    return this.#trailer;
  }
}

/** The response of a call that streams. */
export class StreamResult<I extends DescMessage, O extends DescMessage> implements StreamResponse<I, O> {
  readonly stream = true as const;
  readonly method: DescMethodStreaming<I, O>;
  readonly message: AsyncIterable<MessageShape<O>>;
  readonly #metadata: ResponseMetadata;

  constructor(
    method: DescMethodStreaming<I, O>,
    message: AsyncIterable<MessageShape<O>>,
    metadata: ResponseMetadata,
  ) {
    this.method = method;
    this.message = message;
    this.#metadata = metadata;
  }

  get header(): Headers {
    return fromWireHeaders(this.#metadata.responseHeaders);
  }

  get trailer(): Headers {
    return fromWireHeaders(this.#metadata.trailers);
  }
}
