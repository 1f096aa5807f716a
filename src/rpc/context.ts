import type { DescMessage, DescMethod, DescService, MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "../base/code.js";
import { type ContextValues, createContextValues } from "../base/context.js";
import { RpcError } from "../base/error.js";
import type { Header } from "../wire/frame.js";
import { fromWireHeaders } from "./metadata.js";
import type { PublishedAt, PublishOptions, Topic, TopicHost } from "./topic.js";
import type { Transport } from "./transport.js";

/** Who is at the other end of a session. */
export interface SessionInfo {
  /**
   * The session's id in hexadecimal: 128 random bits. Where the server authenticates it opens nothing by itself; where not, who
   * knows it can take the session over.
   */
  readonly id: string;
  /** What authentication found; `undefined` without authentication, and on a client. */
  readonly identity: Identity | undefined;
}

/** What `authenticate` found out about a client. */
export interface Identity {
  /** Who it is. Resuming a session, and refreshing its credentials, demand the same. */
  readonly id: string;
  /**
   * When what was shown is no longer good, in milliseconds since the epoch, as `exp * 1000` of a JWT. The client is asked
   * for new credentials ahead of it; without good ones its link is closed with 4401. Default: never.
   */
  readonly expiresAt?: number | undefined;
  /**
   * Whatever else handlers want to know. Clients never get it. With several nodes it travels, as JSON, to the node that has the
   * client's session: what JSON does not keep, such as a `Date` or a `Map`, is not the same there.
   */
  readonly claims?: unknown;
}

/** What a handler knows of the idempotency key that its call carries. */
export interface IdempotencyContext {
  /** The caller's key. */
  readonly key: string;
  /** `Identity.id` of the caller; `""` without one. Keys of two identities have nothing to do with each other. */
  readonly identity: string;
  /** 1 for the first attempt that runs; more when an earlier one died or gave up in the middle. */
  readonly attempt: number;
  /**
   * Stores the response now, before the handler returns. Where the store shares the handler's database, called inside the
   * handler's transaction, effect and response are kept together or not at all.
   *
   * @param response The message that the handler is about to return.
   * @throws LostClaimError when another attempt has taken the key over: roll back.
   */
  complete(response: object): void | Promise<void>;
}

/** What a handler knows of its call. */
export interface HandlerContext {
  readonly service: DescService;
  readonly method: DescMethod;
  /** Aborted when the caller cancels, the deadline passes, or the session is lost. */
  readonly signal: AbortSignal;
  /** Time left until the deadline in milliseconds, at this moment; `undefined` without a deadline. */
  timeoutMs(): number | undefined;
  /** Request metadata. */
  readonly requestHeader: Headers;
  /** Response metadata that goes out first; change it before the first message. */
  readonly responseHeader: Headers;
  /** Response metadata that goes out with the outcome. */
  readonly responseTrailer: Headers;
  /** Values that interceptors have set. */
  readonly values: ContextValues;
  /** The other end: `createClient(Service, context.peer)` calls services that it serves. */
  readonly peer: Transport;
  readonly session: SessionInfo;
  /** The idempotency key of the call, and what goes with it; `undefined` when the call carries none. */
  readonly idempotency: IdempotencyContext | undefined;
  /**
   * Server streaming: token of the last message that the caller has consumed of this stream in a session that was lost; go
   * on behind it. `undefined`: from the beginning. See `resumable`.
   */
  readonly resumeToken: string | undefined;
  /**
   * Publishes a message to a topic, as `Server.publish` does.
   *
   * @throws RpcError FAILED_PRECONDITION on a client, which has no topics.
   */
  publish<Desc extends DescMessage>(
    topic: Topic<Desc>,
    message: MessageInitShape<Desc>,
    options?: PublishOptions,
  ): Promise<PublishedAt>;
}

/** What {@link CallContext} needs of its call. */
export interface ContextCall {
  readonly requestHeaders: readonly Header[] | undefined;
  /** The reason, once the call was cancelled. */
  readonly aborted: RpcError | undefined;
  timeLeft(): number | undefined;
  readonly peer: Transport;
  readonly session: SessionInfo;
  readonly idempotency: IdempotencyContext | undefined;
  readonly resumeToken: string;
  readonly topics: TopicHost | undefined;
}

/** The context of one call. All that costs something is made when a handler asks for it. */
export class CallContext implements HandlerContext {
  readonly service: DescService;
  readonly method: DescMethod;
  readonly #call: ContextCall;
  #controller: AbortController | undefined;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;
  #values: ContextValues | undefined;

  constructor(method: DescMethod, call: ContextCall) {
    this.service = method.parent;
    this.method = method;
    this.#call = call;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#call.aborted !== undefined) this.#controller.abort(this.#call.aborted);
    }
    return this.#controller.signal;
  }

  timeoutMs(): number | undefined {
    return this.#call.timeLeft();
  }

  get requestHeader(): Headers {
    this.#requestHeader ??= fromWireHeaders(this.#call.requestHeaders);
    return this.#requestHeader;
  }

  get responseHeader(): Headers {
    this.#responseHeader ??= new Headers();
    return this.#responseHeader;
  }

  get responseTrailer(): Headers {
    this.#responseTrailer ??= new Headers();
    return this.#responseTrailer;
  }

  get values(): ContextValues {
    this.#values ??= createContextValues();
    return this.#values;
  }

  get peer(): Transport {
    return this.#call.peer;
  }

  get session(): SessionInfo {
    return this.#call.session;
  }

  get idempotency(): IdempotencyContext | undefined {
    return this.#call.idempotency;
  }

  get resumeToken(): string | undefined {
    return this.#call.resumeToken === "" ? undefined : this.#call.resumeToken;
  }

  async publish<Desc extends DescMessage>(
    topic: Topic<Desc>,
    message: MessageInitShape<Desc>,
    options?: PublishOptions,
  ): Promise<PublishedAt> {
    const { topics } = this.#call;
    if (topics === undefined) throw new RpcError("clients have no topics", Code.FailedPrecondition);
    return topics.publish(topic, message, options);
  }

  /** Response headers, if a handler has touched them. */
  get touchedHeader(): Headers | undefined {
    return this.#responseHeader;
  }

  /** Trailers, if a handler has touched them. */
  get touchedTrailer(): Headers | undefined {
    return this.#responseTrailer;
  }

  /** Aborts the signal, if a handler has asked for it. */
  abort(reason: RpcError): void {
    this.#controller?.abort(reason);
  }
}
