import type { LinkKind } from "../base/observer.js";
import type { EncodedPacket } from "../wire/encode.js";
import type { SharedPacket } from "../wire/shared.js";

/** WebSocket subprotocol that Hawser speaks. */
export const SUBPROTOCOL = "hawser.v1";

/** Begins the subprotocol that carries a bearer token, in base64url, in an upgrade request; never the one that is spoken. */
export const BEARER_SUBPROTOCOL = "hawser.bearer.";

export { closeReason } from "../base/close-reason.js";
export type { LinkKind };

/** What a link tells its owner. */
export interface LinkEvents {
  /** A binary message. The bytes belong to the receiver. */
  onMessage(bytes: Uint8Array): void;
  /** A text message; its content does not matter. */
  onText(): void;
  /** {@link Link.bufferedBytes} has fallen after it was above the owner's mark. */
  onDrain(): void;
  /** The link is gone; called once, whoever closed it. */
  onClose(code: number, reason: string): void;
}

/** A message pipe that is open: the one contract between Hawser and what carries its packets. */
export interface Link {
  /** What carries it at the moment. */
  readonly kind: LinkKind;
  /** Bytes that were sent but not handed to the network yet. */
  readonly bufferedBytes: number;
  /** Sends a packet as one binary message. */
  send(packet: EncodedPacket): void;
  /** Between `cork` and `uncork`, messages may be held back to be written together. */
  cork(): void;
  uncork(): void;
  /** Closes with a code and a reason (RFC 6455 section 7.4); cut off after a while when the other side is silent. */
  close(code: number, reason: string): void;
}

/** A link of a server, over which it sends the same packets as over others. */
export interface BroadcastLink extends Link {
  /**
   * Sends a packet that others get too, at once.
   *
   * @param plain it must not be compressed
   */
  broadcast(packet: SharedPacket, plain: boolean): void;
}

/** A packet for many, sent as one for this link alone. */
export function sendShared(link: Pick<Link, "send">, { bytes }: SharedPacket, plain: boolean): void {
  link.send({ head: bytes, body: undefined, bytes: bytes.length, room: 0, plain });
}
