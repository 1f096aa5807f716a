import type { Clock } from "../base/clock.js";
import type { Code } from "../base/code.js";
import type { ErrorDetail, RpcError } from "../base/error.js";
import type { Slices } from "../base/slices.js";
import type { Pace } from "../session/pace.js";
import type { MessageWriter } from "../wire/encode.js";
import type {
  CallFrame,
  DataFrame,
  EndFrame,
  Header,
  OpenFrame,
  PositionFrame,
  WireLimits,
} from "../wire/frame.js";
import type { Call } from "./call.js";
import type { Calls } from "./calls.js";
import type { SessionInfo } from "./context.js";
import type { Subscription } from "./subscription.js";
import type { TopicGap, TopicOptions, TopicSink, TopicSubscriber } from "./topic.js";
import type { Transport } from "./transport.js";

/** What calls need of the session below them. */
export interface CallSession {
  readonly state: "detached" | "greeting" | "open" | "ended";
  readonly writable: boolean;
  /** Since when the outbox has been full without a break; `Infinity` when it is not. */
  readonly fullSince: number;
  readonly peerLimits: WireLimits;
  /** @throws Error while a message is being written: nothing can be sent then. */
  check(): void;
  send(frame: CallFrame): void;
  sendMessage(frame: OpenFrame | DataFrame | EndFrame, message: MessageWriter): number;
  wake(): void;
  position(frame: PositionFrame): void;
}

/** A call that the other side opened, as the table sees it. */
export interface AnsweringCall extends Call {
  /** The other side cancelled it. */
  cancelled(code: number, message: string): void;
  /** What it gets from a topic, where it is attached to one. */
  readonly subscriber: TopicSubscriber | undefined;
}

/** A call that this side opened, as the table sees it. */
export interface CallingCall extends Call {
  /** The call's name, "package.Service/Method". */
  readonly name: string;
  readonly headers: readonly Header[] | undefined;
  /** Go on behind the message with this token; `""`: from the beginning. */
  readonly resumeToken: string;
  /** Names the call over all its attempts; `""`: nothing does. */
  readonly idempotencyKey: string;
  /** Absolute deadline; `Infinity` without one. */
  readonly deadlineAt: number;
  /** What the caller wants of a topic. */
  readonly topic: TopicOptions | undefined;
  /** A gap that an earlier attempt has come to, before the first message of this one. */
  readonly openGap: TopicGap | undefined;
  /** The topic that the call gets its messages from. */
  subscription: Subscription | undefined;
  /** Fails the call; `executed` is `"no"` while it was not opened. */
  fail(error: RpcError): void;
  /** Gives up the call, and tells the other side. */
  cancel(code: Code, error: RpcError): void;
  /** Response headers, with the first frame. */
  answered(headers: readonly Header[]): void;
  /** The outcome from the other side. */
  concluded(frame: EndFrame): void;
}

/** Makes the answering side of a call from its Open. */
export interface Answerer {
  answer(frame: OpenFrame, name: string, calls: Calls): AnsweringCall | EndRefusal;
}

/** Why a call is turned away before a handler sees it. */
export interface EndRefusal {
  readonly refused: true;
  readonly code: Code;
  readonly message: string;
  readonly details?: readonly ErrorDetail[];
}

/** Settings of {@link Calls}; one object serves all sessions of a server. */
export interface CallsInit {
  /** The connecting side opens odd numbers, the other one even ones. */
  readonly role: "client" | "server";
  readonly clock: Clock;
  readonly limits: WireLimits;
  /** Calls that may wait to be opened. */
  readonly maxWaitingCalls: number;
  /** Longest time that a call waits for a connection, in milliseconds. */
  readonly maxWaitMs: number;
  /** Longest time that messages wait for room in an outbox that is full, in milliseconds. */
  readonly outboxWaitMs: number;
  /** Messages that may wait for their readers, in and out, in bytes. */
  readonly maxHeldBytes?: number | undefined;
  readonly answerer: Answerer;
  /** Cuts the handing out of messages to their readers into slices. Default: as many at once as there are. */
  readonly slices?: Slices | undefined;
  /** Counts the calls of this side; shared by all sessions of a process that call. */
  readonly pace?: Pace | undefined;
}

/** What stands around the calls of one session. */
export interface CallsHost {
  /** Makes calls to the other side. */
  readonly transport: Transport;
  /** The session as handlers see it. */
  readonly info: SessionInfo;
  /** What is known about why there is no connection, for error messages. */
  whyNotOpen(): string;
  /** A call waits without a link: {@link Calls.deadline} may be earlier than before. */
  onDeadline(): void;
  /** Asked before a call of the other side is begun: why it is turned away, if it is. */
  admit?(): EndRefusal | undefined;
  /** A limit was met, by the name of its option. */
  onLimit?(limit: string): void;
  /** Where publications are written, on a server. */
  readonly topics?: TopicSink | undefined;
}
