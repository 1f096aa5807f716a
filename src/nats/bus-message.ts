import type { Msg } from "@nats-io/transport-node";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { BusMessage } from "../broker/bus.js";
import type { NatsLink } from "./connection.js";

/** A message that has come. */
export class NatsMessage implements BusMessage {
  readonly payload: Uint8Array;
  readonly rest: readonly string[];
  readonly #message: Msg;
  readonly #link: NatsLink;
  readonly #maxPayload: number;
  #answered = false;

  constructor(message: Msg, rest: readonly string[], link: NatsLink, maxPayload: number) {
    this.payload = message.data;
    this.rest = rest;
    this.#message = message;
    this.#link = link;
    this.#maxPayload = maxPayload;
  }

  /** @throws RpcError RESOURCE_EXHAUSTED for a payload that is too large. */
  reply(payload: Uint8Array): void {
    checkSize(payload, this.#maxPayload);
    // Who asks all counts answers: one of each listener.
    if (this.#answered || !this.#link.up) return;
    this.#answered = true;
    try {
      this.#message.respond(payload);
    } catch {
      // The connection is closing: whoever asks gets no answer, as when this node ends.
    }
  }
}

/** @throws RpcError RESOURCE_EXHAUSTED for a payload that is too large. */
export function checkSize({ byteLength }: Uint8Array, maxPayload: number): void {
  if (byteLength <= maxPayload) return;
  throw new RpcError(
    `a payload of ${byteLength} bytes is larger than the bus carries (${maxPayload})`,
    Code.ResourceExhausted,
    { executed: "no" },
  );
}
