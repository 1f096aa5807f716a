import { CloseCode } from "../base/close.js";
import type { Link } from "../driver/link.js";
import { decodePacket } from "../wire/decode.js";
import { PacketEncoder } from "../wire/encode.js";

/** One is asked on a WebSocket, so that any number will do. */
const PING_ID = 1;

/**
 * Asks a WebSocket that has opened whether packets get through it, before a link that works is given up for it: things on the
 * way let upgrades pass and swallow what comes after. The question is a Ping ahead of Hello, which touches no session.
 */
export class Proof {
  readonly #onProved: (link: Link) => void;
  /** Something else came than the answer, or the WebSocket is gone. Silence is not told. */
  readonly onFailed: () => void;
  #link: Link | undefined;

  /** @param onProved The server has answered: from now on what the WebSocket says is not said to the proof. */
  constructor(onProved: (link: Link) => void, onFailed: () => void) {
    this.#onProved = onProved;
    this.onFailed = onFailed;
  }

  /** The WebSocket is open: asks. */
  ask(link: Link): void {
    this.#link = link;
    const encoder = new PacketEncoder();
    encoder.add({ kind: "ping", id: PING_ID });
    link.send(encoder.finish(0, 0));
  }

  /** No answer came in time. Whether there was a WebSocket to close. */
  giveUp(): boolean {
    // The code tells whoever carries other links by the same WebSocket that it is silent.
    this.#link?.close(CloseCode.handshakeTimeout, "a Ping got no answer");
    return this.#link !== undefined;
  }

  onMessage(bytes: Uint8Array): void {
    if (this.#link === undefined) return;
    if (isAnswer(bytes)) this.#onProved(this.#link);
    else this.onFailed();
  }
}

function isAnswer(bytes: Uint8Array): boolean {
  try {
    const [frame] = decodePacket(bytes).frames;
    return frame?.kind === "pong" && frame.id === PING_ID;
  } catch {
    return false;
  }
}
