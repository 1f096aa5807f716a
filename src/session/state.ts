/**
 * The session's state machine as data. What is absent is illegal: it breaks a rule of the protocol when it came from
 * the wire, and is a fault of this program when it did not.
 *
 * The diagram in docs/PROTOCOL.md is made from this table.
 */

/** Where a session stands. */
export type SessionState =
  /** No link. Outbox and calls are kept. */
  | "detached"
  /** The connecting side has sent Hello and waits for Welcome. */
  | "greeting"
  /** Packets flow. */
  | "open"
  /** Over, for good. */
  | "ended";

/** What can happen to a session. */
export type SessionInput =
  /** The connecting side has a link. */
  | "linkUp"
  /** The accepting side has checked a Hello and hands the link over. */
  | "accept"
  /** A Welcome arrived. */
  | "welcome"
  /** A packet with call frames, or a bare acknowledgement, arrived. */
  | "packet"
  /** A Ping arrived. */
  | "ping"
  /** A Pong arrived. */
  | "pong"
  /** A GoAway arrived. */
  | "goAway"
  /** A Refresh arrived: asked for, or brought, new credentials. */
  | "refresh"
  /** A Publication, Attached or Position arrived. */
  | "topic"
  /** A Hello arrived on a link that has had one. */
  | "hello"
  /** The link is gone. */
  | "linkDown"
  /** This side ends the session. */
  | "end";

/** What the session does on a transition; see `session.ts`. */
export type SessionEffect =
  | "greet"
  | "welcomeLink"
  | "enter"
  | "deliver"
  | "answerPing"
  | "measure"
  | "announceGoAway"
  | "passRefresh"
  | "passTopic"
  | "detach"
  | "finish"
  | "nothing";

/** Effect and next state. */
export type Transition = readonly [effect: SessionEffect, next: SessionState];

/** `SESSION_TABLE[state][input]`; absent: illegal. */
export const SESSION_TABLE: Readonly<
  Record<SessionState, Readonly<Partial<Record<SessionInput, Transition>>>>
> = {
  detached: {
    linkUp: ["greet", "greeting"],
    accept: ["welcomeLink", "open"],
    linkDown: ["nothing", "detached"],
    end: ["finish", "ended"],
  },
  greeting: {
    welcome: ["enter", "open"],
    goAway: ["announceGoAway", "greeting"],
    linkDown: ["detach", "detached"],
    end: ["finish", "ended"],
  },
  open: {
    packet: ["deliver", "open"],
    ping: ["answerPing", "open"],
    pong: ["measure", "open"],
    goAway: ["announceGoAway", "open"],
    refresh: ["passRefresh", "open"],
    topic: ["passTopic", "open"],
    linkDown: ["detach", "detached"],
    end: ["finish", "ended"],
  },
  ended: {
    linkDown: ["nothing", "ended"],
    end: ["nothing", "ended"],
  },
};

/** All states, in the order of a session's life. */
export const SESSION_STATES = /* @__PURE__ */ Object.keys(SESSION_TABLE) as SessionState[];

/** All inputs. */
export const SESSION_INPUTS: readonly SessionInput[] = [
  "linkUp",
  "accept",
  "welcome",
  "packet",
  "ping",
  "pong",
  "goAway",
  "refresh",
  "topic",
  "hello",
  "linkDown",
  "end",
];
