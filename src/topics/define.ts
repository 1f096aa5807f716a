import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { PresenceEventSchema } from "../../gen/hawser/v1/presence_pb.js";
import { checkDuration, checkFunction, checkInteger, checkKeys } from "../base/check.js";
import type { HistoryLimits, TopicSpec } from "../broker/broker.js";
import type { SessionInfo } from "../rpc/context.js";
import { TOPIC, type Topic } from "../rpc/topic.js";

/** What a topic is; see {@link defineTopic}. */
export interface TopicDefinitionOptions<Args extends unknown[], Desc extends DescMessage> {
  /** Its name, or how the name is made of the arguments. Any text of 1 to 1,024 bytes of UTF-8. */
  readonly name: string | ((...args: Args) => string);
  /** Type of its messages. */
  readonly schema: Desc;
  /**
   * What is kept for subscribers that come back, or that ask for the newest: so many publications, for so many milliseconds;
   * both limits hold. (With `slow: "latest"` the memory broker counts keys instead of publications.) Default: nothing beyond what is on its way, so a subscriber that was away for long is told of a gap.
   */
  readonly history?: { readonly size: number; readonly ttlMs: number };
  /**
   * What a subscriber gets that reads more slowly than is published. `"recover"` (the default): everything, later, out of
   * history; a gap is told when that is too short. `"latest"`: the newest publication of each key, and never a gap for what
   * was replaced.
   */
  readonly slow?: "recover" | "latest";
  /** With `slow: "latest"`: which publications replace each other. Default: all of the topic do. */
  readonly key?: (message: MessageShape<Desc>) => string;
  /** Subscribers on one node; more are refused with RESOURCE_EXHAUSTED. Default: no limit. */
  readonly maxSubscribers?: number;
  /**
   * Whether it is known who is subscribed: `Server.presence(topic)` and `presenceOf(topic)`. It costs a message between nodes
   * for each that comes or goes. `info` says what others get to know of a session beside its identity. Default `false`.
   */
  readonly presence?: boolean | PresenceOptions;
}

/** What is known of those that are subscribed to a topic. */
export interface PresenceOptions {
  /** Asked once, when a session comes. Default: nothing. */
  readonly info?: (session: SessionInfo) => Readonly<Record<string, string>>;
}

/** What all topics of one definition have in common. */
export interface TopicDefinition {
  readonly schema: DescMessage;
  readonly history: HistoryLimits | undefined;
  readonly conflates: boolean;
  readonly key: ((message: MessageShape<DescMessage>) => string) | undefined;
  readonly maxSubscribers: number;
  /** `undefined`: it is not known who is subscribed. */
  readonly presence: ((session: SessionInfo) => Readonly<Record<string, string>>) | undefined;
  /** It tells who is subscribed to the topic of this name. */
  readonly presenceOf?: string;
}

/** Where a topic keeps its definition. */
const DEFINITION = Symbol("hawser.definition");

const MAX_NAME_BYTES = 1_024;

/**
 * Defines a topic, or a family of topics. The result makes topics: a handler of a server-streaming method returns one, and
 * messages are published to one.
 *
 * @example
 * const Ticks = defineTopic({
 *   name: (symbol: string) => `ticks.${symbol}`,
 *   schema: TickSchema,
 *   history: { size: 1000, ttlMs: 60_000 },
 * });
 * // In a handler: watch: (request) => Ticks(request.symbol)
 * // Anywhere on the server: await server.publish(Ticks("ACME"), { price: 12 });
 *
 * @throws TypeError or RangeError that names the option which is wrong; the function that it returns throws for a name that
 * is none.
 */
export function defineTopic<Desc extends DescMessage, Args extends unknown[] = []>(
  options: TopicDefinitionOptions<Args, Desc>,
): (...args: Args) => Topic<Desc> {
  const { name, schema } = options;
  const definition = resolve(options as unknown as TopicDefinitionOptions<unknown[], DescMessage>);
  const make = (text: string): Topic<Desc> =>
    ({ name: checkName(text), schema, [TOPIC]: true, [DEFINITION]: definition }) as Topic<Desc>;
  if (typeof name === "function") return (...args) => make(name(...args));
  const only = make(name);
  return () => only;
}

/** @throws TypeError for what `defineTopic` has not made. */
export function definitionOf(topic: Topic): TopicDefinition {
  const definition = (topic as { readonly [DEFINITION]?: TopicDefinition } | undefined)?.[DEFINITION];
  if (definition === undefined)
    throw new TypeError("this is no topic; make one with what defineTopic() returns");
  return definition;
}

/** What a broker has to know of a topic. */
export function specOf(topic: Topic): TopicSpec {
  const { history, conflates } = definitionOf(topic);
  return { name: topic.name, history, conflates };
}

function resolve(options: TopicDefinitionOptions<unknown[], DescMessage>): TopicDefinition {
  checkKeys("defineTopic()", options, KEYS);
  const { name, schema, history, slow = "recover", key, presence = false } = options;
  if (typeof name !== "function" && typeof name !== "string") {
    throw new TypeError("defineTopic() needs name: a text, or a function that makes one");
  }
  if (schema?.kind !== "message") {
    throw new TypeError("defineTopic() needs schema: the schema of a message, such as TickSchema");
  }
  if (slow !== "recover" && slow !== "latest") {
    throw new RangeError(`slow must be "recover" or "latest", not ${JSON.stringify(slow)}`);
  }
  checkFunction("key", key);
  if (key !== undefined && slow !== "latest") throw new TypeError('key is for topics with slow: "latest"');
  if (typeof presence !== "boolean") {
    checkKeys("defineTopic() presence", presence, ["info"]);
    checkFunction("presence.info", presence.info);
  }
  if (history !== undefined) checkKeys("defineTopic() history", history, ["size", "ttlMs"]);
  return {
    schema,
    history:
      history === undefined
        ? undefined
        : {
            size: checkInteger("history.size", history.size, 1),
            ttlMs: checkDuration("history.ttlMs", history.ttlMs),
          },
    conflates: slow === "latest",
    key: key as TopicDefinition["key"],
    maxSubscribers:
      options.maxSubscribers === undefined
        ? Number.POSITIVE_INFINITY
        : checkInteger("maxSubscribers", options.maxSubscribers, 1),
    presence: presence === false ? undefined : ((presence === true ? undefined : presence.info) ?? noInfo),
  };
}

function noInfo(): Readonly<Record<string, string>> {
  return {};
}

/**
 * Who is subscribed to a topic, as a topic: a method that answers with `stream hawser.v1.PresenceEvent` may return it. The first
 * event holds everybody, each later one who has come or gone. Subscribing to it is no presence.
 *
 * @throws TypeError for a topic that is not defined with `presence`.
 */
export function presenceOf(topic: Topic): Topic<typeof PresenceEventSchema> {
  checkPresence(topic);
  const definition: TopicDefinition = {
    schema: PresenceEventSchema,
    history: undefined,
    // What one has missed, everybody's state makes good.
    conflates: true,
    key: undefined,
    maxSubscribers: Number.POSITIVE_INFINITY,
    presence: undefined,
    presenceOf: topic.name,
  };
  const name = `${PRESENCE_PREFIX}${topic.name}`;
  return { name, schema: PresenceEventSchema, [TOPIC]: true, [DEFINITION]: definition } as Topic<
    typeof PresenceEventSchema
  >;
}

/** @throws TypeError for a topic that is not defined with `presence`. */
export function checkPresence(topic: Topic): void {
  if (definitionOf(topic).presence !== undefined) return;
  throw new TypeError(`it is not known who is subscribed to "${topic.name}"; define it with presence: true`);
}

/** No name that a user gives begins like this. */
const PRESENCE_PREFIX = "\u0000presence:";

const KEYS = ["name", "schema", "history", "slow", "key", "maxSubscribers", "presence"] as const;

function checkName(name: unknown): string {
  if (typeof name !== "string" || name === "" || name.startsWith(PRESENCE_PREFIX)) {
    throw new TypeError(`the name of a topic must be a text that is not empty, not ${JSON.stringify(name)}`);
  }
  // Three bytes for each UTF-16 unit at most.
  if (name.length * 3 > MAX_NAME_BYTES && new TextEncoder().encode(name).length > MAX_NAME_BYTES) {
    throw new RangeError(
      `the name of a topic must have at most ${MAX_NAME_BYTES} bytes: ${name.slice(0, 64)}…`,
    );
  }
  return name;
}
