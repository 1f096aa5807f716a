import type { Msg } from "@nats-io/transport-node";
import type { NatsLink } from "./connection.js";
import { unavailable } from "./errors.js";

/** An answer of JetStream that says no. */
export class JetStreamRefusal extends Error {
  override readonly name = "JetStreamRefusal";
  /** As in HTTP. */
  readonly status: number;
  /** JetStream's own, more exact one. */
  readonly errorCode: number;

  constructor({ code, err_code, description }: ApiError) {
    super(description);
    this.status = code;
    this.errorCode = err_code ?? 0;
  }
}

/** How JetStream describes an error. */
export interface ApiError {
  readonly code: number;
  readonly err_code?: number;
  readonly description: string;
}

/** Codes of JetStream's errors that are looked for. */
export const JetStreamCode = {
  StreamNotFound: 10059,
  NoMessage: 10037,
  StreamNameInUse: 10058,
  MessageTooLarge: 10054,
  DuplicateInProgress: 10158,
} as const;

/** Whether an error will pass: elections, restarts, a member of the cluster that is not the leader. */
export function isTemporary({ code, err_code }: ApiError): boolean {
  return (
    code === 503 ||
    err_code === JetStreamCode.DuplicateInProgress ||
    err_code === 10005 || // no suitable peers for placement
    err_code === 10009 || // not the leader
    err_code === 10118 // stream is offline
  );
}

/** Asks JetStream, in JSON. The client's own package has more comfort, of which little would be used, at a price. */
export class JetStreamApi {
  readonly #link: NatsLink;
  /** How to give up on what has no answer yet. */
  readonly #waiting = new Set<(reason: Error) => void>();

  constructor(link: NatsLink) {
    this.#link = link;
    link.onChange((up) => {
      if (up) return;
      const reason = new Error("the connection to NATS broke");
      for (const giveUp of [...this.#waiting]) giveUp(reason);
    });
  }

  /**
   * @param verb such as `"STREAM.INFO.NAME"`
   * @throws JetStreamRefusal for an answer that says no; RpcError UNAVAILABLE when there is none now.
   */
  async request<T>(verb: string, body?: object, timeoutMs = 5_000): Promise<T> {
    if (!this.#link.up) throw unavailable("there is no connection to NATS");
    const payload = body === undefined ? "" : JSON.stringify(body);
    let answer: { readonly error?: ApiError };
    try {
      const message = await this.#ask(`$JS.API.${verb}`, payload, timeoutMs);
      answer = message.json();
    } catch (error) {
      // No responders: JetStream is off, or all that have it are gone. A timeout: no leader now. The client says in an
      // election that JetStream is not enabled; it may be in a moment.
      throw unavailable(`JetStream does not answer (${verb.split(".").slice(0, 2).join(".")})`, "no", error);
    }
    if (answer.error === undefined) return answer as T;
    if (isTemporary(answer.error)) {
      throw unavailable(
        `JetStream is not ready: ${answer.error.description}`,
        "no",
        new JetStreamRefusal(answer.error),
      );
    }
    throw new JetStreamRefusal(answer.error);
  }

  /** The client alone would wait for an answer that cannot come any more, until the time is over. */
  #ask(subject: string, payload: string, timeout: number): Promise<Msg> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      this.#link.connection
        .request(subject, payload, { timeout })
        .then(resolve, reject)
        .finally(() => this.#waiting.delete(reject));
    });
  }
}
