import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { Code, codeFromWire } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { CallObserver, Observer } from "../base/observer.js";
import type { EndFrame, Header, OpenFrame } from "../wire/frame.js";
import type { AnswererInit } from "./answer.js";
import { Call } from "./call.js";
import type { AnsweringCall } from "./call-table.js";
import type { Calls } from "./calls.js";
import { CallContext, type ContextCall, type IdempotencyContext, type SessionInfo } from "./context.js";
import { answerFrame, endFrame, errorOf, isFinal, withinLimits } from "./ending.js";
import type { Admission, GuardedCall } from "./guard.js";
import { HandlerCallInfo } from "./handler-call-info.js";
import { runIntercepted, TopicMessages } from "./intercepted-handler.js";
import { toWireHeaders } from "./metadata.js";
import { answersOnce, methodInfo } from "./method-info.js";
import { decodeMessage, encodeMessage, writerOf } from "./payload.js";
import type { AnyMessage, Route } from "./router.js";
import { MessageReader, type Pump, pumpMessages } from "./streams.js";
import {
  isTopic,
  type Topic,
  type TopicCall,
  type TopicHost,
  type TopicSink,
  type TopicSubscriber,
} from "./topic.js";
import type { Transport } from "./transport.js";
import { isTurnedAway } from "./turned-away.js";

type AnyInit = MessageInitShape<DescMessage>;

/** The side of a call that answers it. */
export class AnswerCall extends Call implements AnsweringCall, ContextCall, GuardedCall, TopicCall {
  readonly requestHeaders: readonly Header[] | undefined;
  readonly key: string;
  readonly resumeToken: string;
  aborted: RpcError | undefined;
  subscriber: TopicSubscriber | undefined;
  readonly #route: Route;
  readonly #calls: Calls;
  readonly #init: AnswererInit;
  readonly #context: CallContext;
  readonly #singleRequest: boolean;
  /** The handler has the call, or a guard that lets it wait for one. */
  #begun = false;
  /** Follows the call, and is told once how it ended. */
  #observer: CallObserver | undefined;
  #startedAt = 0;
  /** Interceptors have let the call through to the handler. */
  #admitted = false;
  /** The handler is at work. */
  #busy = false;
  /** It still is, though the call is over. */
  #lingers = false;
  /** The request, while a guard decides what becomes of it. */
  #message: AnyMessage | undefined;
  #admission: Admission | undefined;
  #idempotency: IdempotencyContext | undefined;
  #reader: MessageReader<DescMessage> | undefined;
  /** The handler reads no more requests. */
  #readerLeft = false;
  #pump: Pump | undefined;

  constructor(frame: OpenFrame, route: Route, calls: Calls, init: AnswererInit) {
    super(calls, methodInfo(route.method).plain);
    this.requestHeaders = frame.headers;
    this.key = frame.idempotencyKey;
    this.resumeToken = frame.resumeToken;
    this.#route = route;
    this.#calls = calls;
    this.#init = init;
    this.#context = new CallContext(route.method, this);
    if (init.observer?.callStarted !== undefined) this.#observe(init.observer.callStarted);
    const kind = route.method.methodKind;
    this.#singleRequest = kind === "unary" || kind === "server_streaming";
  }

  get name(): string {
    return this.#route.name;
  }

  get identity(): string {
    return this.#calls.host.info.identity?.id ?? "";
  }

  get peer(): Transport {
    return this.#calls.host.transport;
  }

  get session(): SessionInfo {
    return this.#calls.host.info;
  }

  get topics(): TopicHost | undefined {
    return this.#init.topics;
  }

  // ---- for topics ----------------------------------------------------------------------------------------------

  get id(): number {
    return this.sender.id;
  }

  get sink(): TopicSink {
    return this.#calls.host.topics as TopicSink;
  }

  get window(): number {
    return this.#calls.peerLimits.creditBytes;
  }

  get messageBytes(): number {
    return this.#calls.peerLimits.messageBytes;
  }

  sendAside(payload: Uint8Array): void {
    try {
      void this.#calls.output.send(this, payload, false);
    } catch (error) {
      this.#respond(error as RpcError, false);
    }
  }

  endTopic(error: RpcError): void {
    this.#respond(error, error.executed === "no" && (this.subscriber?.sent ?? 0) === 0);
  }

  #attach(topic: Topic): void {
    const { topics } = this.#init;
    const { output } = this.#route.method;
    if (topics === undefined || this.#calls.host.topics === undefined) {
      return this.#fail(new TypeError(`${this.name} returned a topic, and clients have none`));
    }
    if (topic.schema.typeName !== output.typeName) {
      const types = `${topic.schema.typeName}, and ${this.name} answers with ${output.typeName}`;
      return this.#fail(new TypeError(`the messages of topic "${topic.name}" are ${types}`));
    }
    if (this.finished) return;
    this.sender.headers = toWireHeaders(this.#context.touchedHeader);
    if (this.sender.headers !== undefined) void this.#calls.output.send(this, undefined, false);
    topics.attach(this, topic);
  }

  // ---- for the table of calls ----------------------------------------------------------------------------------

  timeLeft(): number | undefined {
    return this.heapIndex < 0 ? undefined : Math.max(0, this.dueAt - this.#calls.clock());
  }

  received(): void {
    if (this.finished) return;
    if (!this.#singleRequest) {
      if (!this.#begun) this.#begin(undefined);
      else if (this.#readerLeft) this.#discard();
      else this.#reader?.wake();
      return;
    }
    const { receiver } = this;
    if (this.#begun) return;
    if (receiver.length > 1) return this.#reject(`${this.#route.name} takes one message, but more arrived`);
    if (!receiver.ended) return;
    const payload = receiver.shift();
    if (payload === undefined) return this.#reject(`${this.#route.name} takes one message, but none arrived`);
    let message: AnyMessage;
    try {
      message = decodeMessage(this.#route.method.input, payload, Code.InvalidArgument, "no");
    } catch (error) {
      return this.#respond(error as RpcError, true);
    }
    const { guard } = this.#init;
    if (this.key === "" || guard === undefined) return this.#begin(message);
    this.#begun = true;
    this.#message = message;
    guard.enter(this, payload);
  }

  // ---- for the guard -------------------------------------------------------------------------------------------

  run(admission: Admission): void {
    const message = this.#message;
    this.#message = undefined;
    this.#admission = admission;
    this.#begin(message);
  }

  get idempotency(): IdempotencyContext | undefined {
    const admission = this.#admission;
    if (admission === undefined) return undefined;
    this.#idempotency ??= {
      key: this.key,
      identity: this.identity,
      attempt: admission.attempt,
      complete: (response) => admission.complete(this.#response(response as AnyInit)),
    };
    return this.#idempotency;
  }

  answer(outcome: EndFrame): void {
    this.#end(outcome);
  }

  replay(outcome: EndFrame): void {
    this.#end({ ...outcome, call: this.sender.id });
  }

  reject(error: RpcError, refused: boolean): void {
    this.#end(endFrame(this.sender.id, error, undefined, undefined, refused ? "refused" : "unfinished"));
  }

  cancelled(code: number, message: string): void {
    this.abort(new RpcError(message === "" ? "the caller cancelled" : message, codeFromWire(code)));
  }

  lost(): void {
    // A caller with a key comes back for the outcome, in another session; what is under way goes on.
    const reason = this.#calls.closed ?? new RpcError("the session was lost", Code.Unavailable);
    if (this.#admission === undefined) return this.abort(reason);
    this.#leave();
    if (this.#observer !== undefined) this.#tellEnd(reason.code, reason);
  }

  expired(): void {
    const error = new RpcError(`the deadline of ${this.#route.name} passed`, Code.DeadlineExceeded, {
      executed: "unknown",
    });
    this.#abortAndTell(error);
  }

  starved(reason: string): void {
    this.#abortAndTell(new RpcError(reason, Code.ResourceExhausted, { executed: "unknown" }));
  }

  /** The runtime ends the call; the caller hears of it. */
  #abortAndTell(error: RpcError): void {
    const { id } = this.sender;
    this.abort(error);
    this.sender.id = id;
    const how = this.#begun ? "unfinished" : "refused";
    this.#calls.output.end(this, endFrame(id, error, undefined, undefined, how));
  }

  /** Ends the call without an answer, and asks the handler to stop. */
  abort(reason: RpcError): void {
    this.#leave();
    if (this.aborted !== undefined) return;
    this.aborted = reason;
    if (this.#observer !== undefined) this.#tellEnd(reason.code, reason);
    this.#pump?.stop();
    this.#reader?.wake();
    this.#context.abort(reason);
  }

  /** Nobody waits for an answer any more. */
  #leave(): void {
    this.#calls.remove(this);
    if (this.#busy && !this.#lingers) {
      this.#lingers = true;
      this.#calls.incoming.lingers(1);
    }
    this.finished = true;
    this.subscriber?.closed();
    this.receiver.drop();
    this.#message = undefined;
  }

  #observe(callStarted: NonNullable<Observer["callStarted"]>): void {
    this.#startedAt = this.#calls.clock();
    this.#observer = callStarted(new HandlerCallInfo(this.#route, this.#calls.host.info, this.#context));
  }

  /** The call has its outcome. */
  #tellEnd(code: Code | 0, error: RpcError | undefined): void {
    const observer = this.#observer;
    this.#observer = undefined;
    const sent = this.#pump?.sent ?? this.subscriber?.sent ?? (code === 0 ? 1 : 0);
    const received = this.receiver.consumed;
    observer?.ended?.({ code, error, durationMs: this.#calls.clock() - this.#startedAt, sent, received });
  }

  #begin(message: AnyMessage | undefined): void {
    const observer = this.#observer;
    if (observer?.run === undefined) this.#beginNow(message);
    else observer.run(() => this.#beginNow(message));
  }

  #beginNow(message: AnyMessage | undefined): void {
    this.#begun = true;
    if (this.#init.interceptors.length > 0) {
      this.#beginIntercepted(message);
      return;
    }
    const { handler, method } = this.#route;
    const input = message ?? this.#requests();
    this.#admitted = true;
    try {
      const result: unknown = handler(input, this.#context);
      if (answersOnce(method)) {
        if (result instanceof Promise) this.#await(result);
        else if (isThenable(result)) this.#await(Promise.resolve(result));
        else this.#answer(result as AnyInit);
      } else if (result instanceof Promise) this.#awaitStream(result.then((messages) => ({ messages })));
      else this.#stream(result as AsyncIterable<AnyInit>);
    } catch (error) {
      this.#fail(error);
    }
  }

  #await(result: Promise<unknown>): void {
    this.#busy = true;
    const answer = (message: unknown) => {
      this.#settled();
      this.#answer(message as AnyInit);
    };
    result.then(answer, (thrown: unknown) => this.#failed(thrown));
  }

  /** Messages, or a topic, that the handler has promised. */
  #awaitStream(result: Promise<{ messages: AsyncIterable<AnyInit>; atEnd?: () => void }>): void {
    this.#busy = true;
    result
      .then(({ messages, atEnd }) => {
        this.#settled();
        this.#stream(messages, atEnd);
      })
      .catch((thrown: unknown) => this.#failed(thrown));
  }

  /** The handler has ended without an outcome of its own. */
  #failed(thrown: unknown): void {
    this.#settled();
    this.#fail(thrown);
  }

  /** The handler has come to its end, whatever became of its call. */
  #settled(): void {
    this.#busy = false;
    if (!this.#lingers) return;
    this.#lingers = false;
    this.#calls.incoming.lingers(-1);
  }

  /** The handler is the innermost function of the interceptors. */
  #beginIntercepted(message: AnyMessage | undefined): void {
    this.#busy = true;
    runIntercepted({
      route: this.#route,
      interceptors: this.#init.interceptors,
      context: this.#context,
      message,
      requests: () => this.#requests(),
      onAdmitted: () => {
        this.#admitted = true;
      },
    })
      .then((result) => {
        this.#settled();
        if (result.stream) this.#stream(result.messages, result.atEnd);
        else this.#answer(result.message as AnyInit);
      })
      .catch((thrown: unknown) => this.#failed(thrown));
  }

  #requests(): MessageReader<DescMessage> {
    this.#reader = new MessageReader({
      call: this,
      calls: this.#calls,
      schema: this.#route.method.input,
      decodeCode: Code.InvalidArgument,
      ending: () => this.aborted ?? (this.receiver.ended || this.finished ? "done" : undefined),
      leave: (reason) => {
        // A handler that leaves its requests may still answer; what else arrives is consumed unread.
        if (reason !== undefined) return this.#respond(reason, false);
        this.#readerLeft = true;
        this.#discard();
      },
    });
    return this.#reader;
  }

  /** Reads and drops what still arrives, so that the caller is not held up by credit. */
  #discard(): void {
    const { receiver } = this;
    while (receiver.shift() !== undefined);
    this.#calls.output.giveCredit(this);
  }

  #stream(iterable: AsyncIterable<AnyInit>, atEnd?: () => void): void {
    if (isTopic(iterable)) return this.#attach(iterable);
    if (iterable instanceof TopicMessages) return this.#attach(iterable.topic);
    if (this.finished) return;
    if (typeof iterable?.[Symbol.asyncIterator] !== "function") {
      return this.#fail(new TypeError(`${this.#route.name} must return an async iterable or a topic`));
    }
    const context = this.#context;
    this.#pump = pumpMessages(this, this.#calls, this.#route.method.output, iterable, Code.Internal, () => {
      this.sender.headers = toWireHeaders(context.touchedHeader);
    });
    this.#busy = true;
    this.#pump.done
      .then(() => {
        this.#settled();
        if (this.finished) return;
        atEnd?.();
        this.#end(endFrame(this.sender.id, undefined, undefined, context.touchedTrailer, "answered"));
      })
      .catch((thrown: unknown) => this.#failed(thrown));
  }

  #answer(message: AnyInit): void {
    if (this.#admission === undefined && (this.finished || this.#answerAtOnce(message))) return;
    let response: EndFrame;
    try {
      response = this.#response(message);
    } catch (error) {
      return this.#fail(error);
    }
    if (this.#admission === undefined) this.#end(response);
    else this.#admission.ended(response, true);
  }

  /** Answers with a message that goes straight into a packet, when there is nothing to say beside it; whether it could. */
  #answerAtOnce(message: AnyInit): boolean {
    const { touchedHeader, touchedTrailer } = this.#context;
    if (touchedHeader !== undefined || touchedTrailer !== undefined) return false;
    const writer = writerOf(this.#route.method.output, message);
    if (writer === undefined || !this.#calls.output.answer(this, writer)) return false;
    this.finished = true;
    this.receiver.drop();
    this.#reader?.wake();
    if (this.#observer !== undefined) this.#tellEnd(0, undefined);
    return true;
  }

  /** @throws RpcError when the message cannot be encoded. */
  #response(message: AnyInit): EndFrame {
    const payload = encodeMessage(this.#route.method.output, message, Code.Internal);
    const context = this.#context;
    const headers = context.touchedHeader === undefined ? undefined : toWireHeaders(context.touchedHeader);
    const trailers = context.touchedTrailer === undefined ? undefined : toWireHeaders(context.touchedTrailer);
    return answerFrame(this.sender.id, headers, trailers, payload);
  }

  /** The handler threw, or an interceptor. */
  #fail(thrown: unknown): void {
    // A handler that stops because it was asked to has no outcome.
    const stopped = this.aborted !== undefined && (thrown === this.aborted || isAbort(thrown));
    let error: RpcError;
    if (thrown instanceof RpcError) error = thrown;
    else if (stopped && this.#admission === undefined) return;
    else {
      if (!stopped) this.#init.onHandlerError(thrown, this.#route.name);
      error = new RpcError("internal error", Code.Internal);
    }
    // An interceptor's word that nothing has happened counts; a handler's does not, for it may be about a call of its own.
    const refused = isTurnedAway(error) || (error.executed === "no" && !this.#admitted);
    if (this.#admission === undefined) return this.#respond(error, refused);
    const headers = toWireHeaders(this.#context.touchedHeader);
    const how = refused ? "refused" : "answered";
    const frame = endFrame(this.sender.id, error, headers, this.#context.touchedTrailer, how);
    this.#admission.ended(frame, !refused && !stopped && isFinal(error));
  }

  #reject(message: string): void {
    this.#respond(new RpcError(message, Code.Unimplemented), true);
  }

  #respond(error: RpcError, refused: boolean): void {
    if (this.finished) return;
    const context = this.#context;
    // A stream that has begun has sent its headers, or has them ready for its first frame.
    const headers = this.#pump === undefined ? toWireHeaders(context.touchedHeader) : undefined;
    const how = refused ? "refused" : "answered";
    this.#end(endFrame(this.sender.id, error, headers, context.touchedTrailer, how));
  }

  #end(frame: EndFrame): void {
    if (this.finished) return;
    this.finished = true;
    this.subscriber?.closed();
    this.receiver.drop();
    let out = frame;
    if (out.headers === undefined && this.sender.headers !== undefined && !this.sender.hasWaiting) {
      out = { ...out, headers: this.sender.headers };
      this.sender.headers = undefined;
    }
    out = withinLimits(out, this.#calls.peerLimits);
    this.#pump?.stop();
    this.#reader?.wake();
    if (this.#observer !== undefined) {
      if (out.code === 0) this.#tellEnd(0, undefined);
      else this.#tellEnd(codeFromWire(out.code), errorOf(out));
    }
    this.#calls.output.end(this, out);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}

/** What a handler throws because its signal was aborted is no fault of its. */
function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === "AbortError";
}
