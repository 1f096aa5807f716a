import type { Msg, MsgHdrs } from "@nats-io/transport-node";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { NatsLink } from "./connection.js";
import { publishError, unavailable } from "./errors.js";
import type { Replies } from "./replies.js";

/** setTimeout takes no longer time than this (2^31 - 1 ms). */
const MAX_TIMEOUT_MS = 2_147_483_647;

/** A question. */
export interface Question {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers?: MsgHdrs | undefined;
  readonly timeoutMs: number;
}

/** One that waits for answers. */
interface Asking {
  readonly answers: Msg[];
  isEnough(answers: readonly Msg[]): boolean;
  end(why: "enough" | "nobody" | "late" | "lost" | "closed"): void;
}

/**
 * Questions and their answers. Unlike requests of the client they fail as soon as the connection breaks, and one can have
 * as many answers as wanted.
 */
export class Asks {
  readonly #link: NatsLink;
  readonly #replies: Replies;
  readonly #waiting = new Set<Asking>();

  constructor(link: NatsLink, replies: Replies) {
    this.#link = link;
    this.#replies = replies;
  }

  /**
   * Resolves with the first answer.
   *
   * @throws RpcError UNAVAILABLE with `executed: "no"` when nobody listens; DEADLINE_EXCEEDED after the time; UNAVAILABLE
   * with `executed: "unknown"` when the connection breaks.
   */
  one(question: Question): Promise<Msg> {
    return new Promise((resolve, reject) => {
      const isEnough = (answers: readonly Msg[]) => answers.length > 0;
      this.#ask(question, isEnough, ({ answers: [first] }, why) => {
        if (first !== undefined) resolve(first);
        else if (why === "nobody") reject(unavailable("nobody listens there"));
        else if (why === "late") reject(late(question.timeoutMs));
        else reject(broken(why));
      });
    });
  }

  /**
   * Resolves with all answers when there are enough, or after the time; with none when nobody listens.
   *
   * @throws RpcError UNAVAILABLE when the connection breaks.
   */
  all(question: Question, isEnough: (answers: readonly Msg[]) => boolean): Promise<readonly Msg[]> {
    return new Promise((resolve, reject) => {
      this.#ask(question, isEnough, ({ answers }, why) => {
        if (why === "lost" || why === "closed") reject(broken(why));
        else resolve(answers);
      });
    });
  }

  /** How many answers are enough may have changed. */
  look(): void {
    for (const asking of [...this.#waiting]) {
      if (asking.isEnough(asking.answers)) asking.end("enough");
    }
  }

  /** The connection broke: answers to what was asked before may never come. */
  lose(): void {
    for (const asking of [...this.#waiting]) asking.end("lost");
  }

  close(): void {
    for (const asking of [...this.#waiting]) asking.end("closed");
  }

  #ask(
    { subject, payload, headers, timeoutMs }: Question,
    isEnough: Asking["isEnough"],
    onEnd: (asking: Asking, why: Parameters<Asking["end"]>[0]) => void,
  ): void {
    const reply = this.#replies.register((_, message) => {
      if (message.data.length === 0 && message.headers?.code === 503) return asking.end("nobody");
      asking.answers.push(message);
      if (asking.isEnough(asking.answers)) asking.end("enough");
    });
    const timer = setTimeout(() => asking.end("late"), Math.min(timeoutMs, MAX_TIMEOUT_MS));
    const asking: Asking = {
      answers: [],
      isEnough,
      end: (why) => {
        if (!this.#waiting.delete(asking)) return;
        clearTimeout(timer);
        reply.close();
        onEnd(asking, why);
      },
    };
    this.#waiting.add(asking);
    try {
      this.#link.connection.publish(subject, payload, {
        reply: reply.subject,
        ...(headers === undefined ? {} : { headers }),
      });
    } catch (error) {
      this.#waiting.delete(asking);
      clearTimeout(timer);
      reply.close();
      throw publishError(error);
    }
  }
}

function late(timeoutMs: number): RpcError {
  return new RpcError(`no answer within ${timeoutMs} ms`, Code.DeadlineExceeded);
}

function broken(why: string): RpcError {
  return unavailable(
    why === "closed" ? "the bus was closed" : "the connection to NATS was lost before the answer came",
    "unknown",
  );
}
