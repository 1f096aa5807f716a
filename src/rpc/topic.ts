import type { DescMessage, DescMethod, MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { PositionFrame } from "../wire/frame.js";
import type { SharedPacket } from "../wire/shared.js";
import type { SessionInfo } from "./context.js";

/** Why a subscriber has missed publications, or may have. */
export type GapReason =
  /** The topic keeps no history, and something was published meanwhile. */
  | "noHistory"
  /** History is shorter than what was missed. */
  | "historyTooShort"
  /** The numbering has begun anew: the broker has lost its state, or another node has one of its own. */
  | "newEpoch"
  /** Publications were lost on their way between nodes. */
  | "brokerLoss"
  /** A later revision of the server has a reason that is not known here. */
  | "unknown";

/** Says that publications were missed, or may have been, between two positions. */
export interface TopicGap {
  readonly reason: GapReason;
  /** Of the last message before it. */
  readonly from: string;
  /** Behind which the topic goes on. */
  readonly to: string;
}

/**
 * For server streams whose messages come from a topic. What its functions throw ends the call with that error. Given, even empty, it says that the call may be made again when its session
 * is lost before the first answer; so does `idempotency_level = NO_SIDE_EFFECTS` in the schema.
 */
export interface TopicOptions {
  /** Begins with so many of the newest publications that are kept. Default 0: with the next one. */
  readonly last?: number | undefined;
  /** Begins behind this position, as {@link TopicOptions.onPosition} has given it: in an earlier run of the program, for example. */
  readonly after?: string | undefined;
  /** Called with the position of each message that the application has taken. */
  readonly onPosition?: ((position: string) => void) | undefined;
  /** Called where publications are missing, before the message behind them. That message tells it too: `gapBefore(message)`. */
  readonly onGap?: ((gap: TopicGap) => void) | undefined;
  /**
   * Called with `true` when nothing comes from other nodes at the moment, and with `false` when what was missed has come or a
   * gap was told.
   */
  readonly onStale?: ((stale: boolean) => void) | undefined;
}

/** Where a message carries the gap before it; it is no field, so no codec sees it. */
const GAP = Symbol("hawser.gapBefore");

/** The publications that are missing before a message of a topic, if any are. */
export function gapBefore(message: object): TopicGap | undefined {
  return (message as { [GAP]?: TopicGap })[GAP];
}

/** Marks a message. */
export function markGap(message: object, gap: TopicGap): void {
  (message as { [GAP]?: TopicGap })[GAP] = gap;
}

/** How a position, or where to begin, is written: "epoch:offset"; without an epoch, so many of the newest. */
export function topicToken(epoch: string, offset: number): string {
  return `${epoch}:${offset}`;
}

/** What a token says; `undefined` when it is none. */
export function readTopicToken(
  token: string,
): { readonly epoch: string; readonly offset: number } | undefined {
  const [, epoch, digits] = /^([\w-]{0,64}):(\d{1,16})$/.exec(token) ?? [];
  const offset = Number(digits);
  return epoch === undefined || !Number.isSafeInteger(offset) ? undefined : { epoch, offset };
}

/**
 * The token that a call begins with.
 *
 * @throws RpcError INVALID_ARGUMENT
 */
export function startToken({ last, after }: TopicOptions, method: DescMethod): string {
  const fault =
    method.methodKind !== "server_streaming"
      ? `is for server streams, and ${method.name} is none`
      : last !== undefined && after !== undefined
        ? "takes last or after, not both"
        : last !== undefined && !(Number.isSafeInteger(last) && last >= 0)
          ? `last must be a whole number, not ${String(last)}`
          : after !== undefined && !readTopicToken(after)?.epoch
            ? `after must be a position that onPosition has given, not ${JSON.stringify(after)}`
            : undefined;
  if (fault !== undefined) {
    throw new RpcError(`the option topic ${fault}`, Code.InvalidArgument, { executed: "no" });
  }
  return after ?? (last === undefined || last === 0 ? "" : topicToken("", last));
}

declare const MESSAGE: unique symbol;

/** Tells topics from iterables. */
export const TOPIC: unique symbol = Symbol("hawser.topic");

/** A topic, which a server-streaming handler may return, and to which messages are published. `defineTopic` makes them. */
export interface Topic<Desc extends DescMessage = DescMessage> {
  readonly name: string;
  readonly schema: Desc;
  readonly [TOPIC]: true;
  readonly [MESSAGE]?: Desc;
}

/** Whether a handler has returned a topic. */
export function isTopic(value: unknown): value is Topic {
  return typeof value === "object" && value !== null && TOPIC in value;
}

/** Where a message was published. */
export interface PublishedAt {
  /** What `TopicOptions.after` takes; `""` where the broker does not number for all nodes (topics without history on NATS). */
  readonly position: string;
  /** With `PublishOptions.to`: subscribers that it was handed to, on all nodes. */
  readonly recipients?: number;
}

/** How a message is published. */
export interface PublishOptions {
  /**
   * Names the publication over all attempts to publish it: topics with history store one id once, within two minutes. Give one
   * when you publish again what may have been published. Default: a new one.
   */
  readonly id?: string | undefined;
  /**
   * Only to subscribers of this identity, or of this session, on whichever node. Such a message has no place in the topic: it
   * is kept in no history; within a session it arrives exactly once. Default: to all.
   */
  readonly to?: { readonly identity: string } | { readonly session: string } | undefined;
}

/** All topics of a server, as calls see them. */
export interface TopicHost {
  /** The call gets its messages from a topic from now on, or fails. */
  attach(call: TopicCall, topic: Topic): void;
  /** @throws RpcError as documented at `Server.publish`. */
  publish<Desc extends DescMessage>(
    topic: Topic<Desc>,
    message: MessageInitShape<Desc>,
    options?: PublishOptions,
  ): Promise<PublishedAt>;
}

/** A call of a client that is attached to a topic. */
export interface TopicCall {
  readonly id: number;
  /** "package.Service/Method". */
  readonly name: string;
  /** Where its caller wants to begin. */
  readonly resumeToken: string;
  readonly session: SessionInfo;
  readonly sink: TopicSink;
  /** What it gets must not be compressed. */
  readonly plain: boolean;
  /** Bytes that may be on their way to it. */
  readonly window: number;
  /** Largest message that its caller takes, in bytes. */
  readonly messageBytes: number;
  readonly finished: boolean;
  subscriber: TopicSubscriber | undefined;
  /** Sends a message to this call only, in the session's order. */
  sendAside(payload: Uint8Array): void;
  /** Ends the call. */
  endTopic(error: RpcError): void;
}

/** What a call gets from a topic. */
export interface TopicSubscriber {
  /** Publications so far. */
  readonly sent: number;
  position(frame: PositionFrame): void;
  /** The call is over. */
  closed(): void;
}

/** A link to which the bytes of publications are written. */
export interface TopicLink {
  readonly bufferedBytes: number;
  /** Sends bytes that others get too. @param plain they must not be compressed */
  broadcast(packet: SharedPacket, plain: boolean): void;
  cork(): void;
  uncork(): void;
}

/** Where publications for a session are written. */
export interface TopicSink {
  /** While the session is open: what is written to it arrives in order, or is lost with it. */
  readonly link: TopicLink | undefined;
  /** Told of what becomes of the link. */
  topicEvents: TopicSinkEvents | undefined;
}

/** What becomes of a session's link. */
export interface TopicSinkEvents {
  /** Calls that are attached. */
  readonly size: number;
  /** There is a link, new or another one. */
  linkUp(): void;
  linkDown(): void;
  /** The link has room again. */
  drained(): void;
}
