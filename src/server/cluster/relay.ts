import { create } from "@bufbuild/protobuf";
import { type RelayedLink, RelayedLinkSchema } from "../../../gen/hawser/v1/cluster_pb.js";
import { CloseCode } from "../../base/close.js";
import type { BroadcastLink, LinkEvents } from "../../driver/link.js";
import type { Identity } from "../../rpc/context.js";
import { decodePacket } from "../../wire/decode.js";
import { encodePacket } from "../../wire/encode.js";
import type { HelloFrame } from "../../wire/frame.js";
import type { UpgradeInfo } from "../authentication.js";
import { Greeting } from "../greeting.js";
import type { LinkSession } from "../session.js";
import type { Sessions } from "../sessions.js";
import type { Pipe } from "./pipe.js";
import type { PipeRefusal } from "./pipes.js";

/** While the client's link has more than this to write, the node that has the session is not told that packets are gone. */
const MARK_BYTES = 128 * 1024;

/** What a client brings to a node that does not have its session. */
export function relayedLink(
  hello: HelloFrame,
  identity: Identity | undefined,
  info: UpgradeInfo,
): RelayedLink {
  return create(RelayedLinkSchema, {
    hello: encodePacket({ seq: 0, ack: 0, frames: [hello] }),
    hasIdentity: identity !== undefined,
    identity: identity?.id ?? "",
    expiresAt: identity?.expiresAt ?? 0,
    claims: identity?.claims === undefined ? "" : JSON.stringify(identity.claims),
    info: JSON.stringify(info),
  });
}

/** The node that the client has come to: passes its packets to the node that has the session, and back. */
export class RelayedSession implements LinkSession {
  readonly #link: BroadcastLink;
  readonly #pipe: Pipe;
  readonly #onEnd: () => void;
  /** Bytes that the client's link has still to write. */
  #held = 0;

  constructor(link: BroadcastLink, pipe: Pipe, onEnd: () => void) {
    this.#link = link;
    this.#pipe = pipe;
    this.#onEnd = onEnd;
  }

  /** Passes on from now on. The pipe may have ended meanwhile, and tells so at once. */
  start(): void {
    const link = this.#link;
    const pipe = this.#pipe;
    pipe.listen({
      onMessage: (bytes, plain) => {
        link.send({ head: bytes, body: undefined, bytes: bytes.length, room: 0, plain });
        if (link.bufferedBytes <= MARK_BYTES) pipe.take(bytes.length);
        else this.#held += bytes.length;
      },
      onDrain: () => undefined,
      onClose: (code, reason) => {
        this.#onEnd();
        link.close(code, reason);
      },
    });
  }

  /** Sends the client away: its session goes on over another node. */
  leave(code: number, reason: string): void {
    this.#link.close(code, reason);
  }

  receive(_link: BroadcastLink, bytes: Uint8Array): void {
    this.#pipe.pass(bytes, false);
  }

  text(): void {
    this.#link.close(CloseCode.textMessage, "Hawser speaks binary messages only");
  }

  drained(): void {
    const held = this.#held;
    this.#held = 0;
    if (held > 0) this.#pipe.take(held);
  }

  linkClosed(_link: BroadcastLink, code: number, reason: string): void {
    this.#onEnd();
    this.#pipe.close(code, reason);
  }
}

/** The node that has the session: takes the link that another node passes on. */
export function takeRelayed(sessions: Sessions, relayed: RelayedLink, pipe: Pipe): PipeRefusal | undefined {
  const identity: Identity | undefined = relayed.hasIdentity
    ? {
        id: relayed.identity,
        ...(relayed.expiresAt === 0 ? {} : { expiresAt: relayed.expiresAt }),
        ...(relayed.claims === "" ? {} : { claims: JSON.parse(relayed.claims) as unknown }),
      }
    : undefined;
  const [hello] = decodePacket(relayed.hello).frames;
  if (hello?.kind !== "hello" || !sessions.has(hello, identity)) {
    return { refused: CloseCode.policy, reason: "the session is gone" };
  }
  const info = JSON.parse(relayed.info) as UpgradeInfo;
  const open = (events: LinkEvents) => {
    pipe.listen({
      onMessage: (bytes) => {
        pipe.take(bytes.length);
        events.onMessage(bytes);
      },
      onDrain: () => events.onDrain(),
      onClose: (code, reason) => events.onClose(code, reason),
    });
    return pipe;
  };
  const greeting = new Greeting(sessions, open, info, { identity, known: true });
  greeting.onMessage(relayed.hello);
  return undefined;
}
