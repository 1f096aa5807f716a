// Watches what no one outside of the package sees: which call frames a side has put into packets, and which the other
// side has handled; how much each session and each reader holds.
import { hex } from "../../src/base/hex.js";
import { Peer } from "../../src/rpc/peer.js";
import { Receiver } from "../../src/rpc/receiver.js";
import { Session } from "../../src/session/session.js";
import type { CallFrame } from "../../src/wire/frame.js";
import { CHUNK_BYTES } from "../../src/wire/limits.js";

/** Something that must always hold did not. */
export class Broken extends Error {
  override readonly name = "Broken";
  readonly invariant: number;

  /** @param invariant its number in the design */
  constructor(invariant: number, message: string) {
    super(`invariant ${invariant} is broken: ${message}`);
    this.invariant = invariant;
  }
}

/** Settings that the checks of memory go by. */
export interface Bounds {
  readonly outboxBytes: number;
  readonly creditBytes: number;
  readonly messageBytes: number;
}

/** Told of frames, for the trace. */
export interface FrameLog {
  sent(session: string, role: "client" | "server", frame: CallFrame): void;
  handled(session: string, role: "client" | "server", frame: CallFrame): void;
}

type Role = "client" | "server";

/** Frames of one direction of a session, in short. */
interface Flow {
  readonly sent: string[];
  handled: number;
}

/** What frames without a message may add to an outbox, and one packet that passed the bound. */
const SLACK_BYTES = 3 * CHUNK_BYTES;

/** Watches all sessions of the process, from its making until {@link Watcher.stop}. */
export class Watcher {
  /** What was found first. */
  broken: Broken | undefined;
  readonly #bounds: Bounds;
  readonly #log: FrameLog | undefined;
  readonly #flows = new Map<string, Record<Role, Flow>>();
  readonly #sessions = new Set<Session>();
  readonly #roles = new WeakMap<Session, Role>();
  readonly #held = new WeakMap<Receiver, number>();
  readonly #restore: (() => void)[] = [];

  constructor(bounds: Bounds, log?: FrameLog) {
    this.#bounds = bounds;
    this.#log = log;
    this.#patchSending();
    this.#patchHandling();
    this.#patchReading();
  }

  /** Looks at what each session holds; to be called after every step. */
  check(): void {
    const { outboxBytes } = this.#bounds;
    for (const session of this.#sessions) {
      if (session.state === "ended") this.#sessions.delete(session);
      else if (session.bufferedBytes > outboxBytes + SLACK_BYTES) {
        this.#found(
          5,
          `a session keeps ${session.bufferedBytes} bytes, and its outbox is bounded by ${outboxBytes}`,
        );
      }
    }
    if (this.broken !== undefined) throw this.broken;
  }

  /** Takes all patches off. */
  stop(): void {
    for (const restore of this.#restore) restore();
  }

  #found(invariant: number, message: string): void {
    this.broken ??= new Broken(invariant, message);
  }

  #flow(session: Session, role: Role): Flow {
    const id = hex(session.id);
    let flows = this.#flows.get(id);
    if (flows === undefined) {
      flows = { client: { sent: [], handled: 0 }, server: { sent: [], handled: 0 } };
      this.#flows.set(id, flows);
    }
    return flows[role];
  }

  #patch<T extends object, Name extends keyof T>(
    prototype: T,
    name: Name,
    make: (original: T[Name]) => T[Name],
  ): void {
    const original = prototype[name];
    prototype[name] = make(original);
    this.#restore.push(() => {
      prototype[name] = original;
    });
  }

  #patchSending(): void {
    const watcher = this;
    const sent = (session: Session, frame: CallFrame) => {
      // A session that has sent before it has handled anything is a client's, or its role is known.
      const role = watcher.#roles.get(session) ?? "client";
      watcher.#flow(session, role).sent.push(inShort(frame));
      watcher.#log?.sent(hex(session.id), role, frame);
    };
    this.#patch(
      Session.prototype,
      "send",
      (original) =>
        function (this: Session, frame: CallFrame) {
          watcher.#sessions.add(this);
          if (this.state !== "ended") sent(this, frame);
          original.call(this, frame);
        },
    );
    this.#patch(
      Session.prototype,
      "sendMessage",
      (original) =>
        function (this: Session, frame, message) {
          watcher.#sessions.add(this);
          const { bound } = message;
          return original.call(this, frame, {
            bound,
            write: (into, at) => message.write(into, at),
            written: (buffer, at, length) => {
              sent(this, { ...frame, payload: buffer.subarray(at, at + length) });
              message.written(buffer, at, length);
            },
          });
        },
    );
    this.#patch(
      Session.prototype,
      "accept",
      (original) =>
        function (this: Session, ...given) {
          watcher.#roles.set(this, "server");
          return original.apply(this, given);
        },
    );
  }

  #patchHandling(): void {
    const watcher = this;
    this.#patch(
      Peer.prototype,
      "onFrame",
      (original) =>
        function (this: Peer, frame: CallFrame) {
          const { session } = this;
          const role = watcher.#roles.get(session) ?? "client";
          const flow = watcher.#flow(session, role === "client" ? "server" : "client");
          const expected = flow.sent[flow.handled];
          const got = inShort(frame);
          if (got !== expected) {
            watcher.#found(
              1,
              `the ${role} handles frame ${flow.handled + 1}: ${got}; sent was ${expected ?? "nothing"}`,
            );
          }
          flow.handled++;
          watcher.#log?.handled(hex(session.id), role, frame);
          original.call(this, frame);
        },
    );
  }

  #patchReading(): void {
    const watcher = this;
    const { creditBytes, messageBytes } = this.#bounds;
    this.#patch(
      Receiver.prototype,
      "take",
      (original) =>
        function (this: Receiver, payload, size, free, token) {
          const fault = original.call(this, payload, size, free, token);
          if (fault === undefined && !free) {
            const held = (watcher.#held.get(this) ?? 0) + payload.length;
            watcher.#held.set(this, held);
            if (held > creditBytes + messageBytes) {
              watcher.#found(
                5,
                `a reader that does not read holds ${held} bytes; its window is ${creditBytes}`,
              );
            }
          }
          return fault;
        },
    );
    this.#patch(
      Receiver.prototype,
      "shift",
      (original) =>
        function (this: Receiver) {
          const message = original.call(this);
          if (message !== undefined) {
            watcher.#held.set(this, Math.max(0, (watcher.#held.get(this) ?? 0) - message.length));
          }
          return message;
        },
    );
  }
}

/** Enough of a frame to tell it from any other, about. */
export function inShort(frame: CallFrame): string {
  switch (frame.kind) {
    case "open":
    case "data": {
      const { kind, call, end, size, payload, resumeToken } = frame;
      return `${kind} ${call}${end ? " end" : ""}${size > 0 ? ` of ${size}` : ""} ${ofPayload(payload)}${resumeToken}`;
    }
    case "end":
      return `end ${frame.call} ${frame.code} ${frame.message} ${ofPayload(frame.payload)}`;
    case "cancel":
      return `cancel ${frame.call} ${frame.code}`;
    case "credit":
      return `credit ${frame.call} ${frame.bytes}`;
  }
}

function ofPayload(payload: Uint8Array | undefined): string {
  if (payload === undefined) return "-";
  let sum = 0;
  const step = Math.max(1, payload.length >> 4);
  for (let i = 0; i < payload.length; i += step) sum = (sum * 31 + (payload[i] as number)) | 0;
  return `${payload.length} bytes (${(sum >>> 0).toString(36)}) `;
}
