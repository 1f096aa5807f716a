import { randomBytes } from "node:crypto";
import { CloseCode } from "../../base/close.js";
import { Code } from "../../base/code.js";
import { RpcError } from "../../base/error.js";
import { Driver } from "../../driver/driver.js";
import type { Answerer } from "../../rpc/call-table.js";
import { Peer, type PeerEvents } from "../../rpc/peer.js";
import { createProxyAnswerer } from "../../rpc/proxy.js";
import type { Transport } from "../../rpc/transport.js";
import { decodePacket } from "../../wire/decode.js";
import { atEndOfTurn } from "../session.js";
import type { Sessions } from "../sessions.js";
import type { Pipe } from "./pipe.js";
import type { PipeRefusal, Pipes } from "./pipes.js";

/** A bridge without calls is taken down after this time. */
const IDLE_MS = 10_000;

/** Bridges to clients of other nodes, and from other nodes to clients of this one. */
export class Bridges {
  readonly #pipes: Pipes;
  readonly #sessions: Sessions;
  /** By node and session. */
  readonly #out = new Map<string, Promise<Bridge>>();

  constructor(pipes: Pipes, sessions: Sessions) {
    this.#pipes = pipes;
    this.#sessions = sessions;
  }

  /**
   * Makes calls to a client of another node.
   *
   * @throws RpcError UNAVAILABLE with `executed: "no"` when it is not there.
   */
  async to(node: string, session: string): Promise<Transport> {
    const name = `${node} ${session}`;
    let bridge = this.#out.get(name);
    if (bridge === undefined) {
      bridge = this.#open(node, session, () => {
        if (this.#out.get(name) === bridge) this.#out.delete(name);
      });
      this.#out.set(name, bridge);
      bridge.catch(() => this.#out.delete(name));
    }
    return (await bridge).transport;
  }

  /** Another node makes calls to a client of this one. */
  take(id: string, pipe: Pipe): PipeRefusal | undefined {
    const session = this.#sessions.get(id);
    if (session === undefined) return { refused: CloseCode.policy, reason: "the session is not here" };
    const bridge = new Bridge(
      "server",
      pipe,
      this.#sessions,
      createProxyAnswerer(session.calls),
      () => undefined,
    );
    bridge.start();
    return undefined;
  }

  async #open(node: string, session: string, onClosed: () => void): Promise<Bridge> {
    const pipe = await this.#pipes.open(node, { case: "session", value: session });
    if ("refused" in pipe) throw new RpcError(pipe.reason, Code.Unavailable, { executed: "no" });
    const bridge = new Bridge("client", pipe, this.#sessions, NOBODY, onClosed);
    bridge.start();
    return bridge;
  }
}

/** One end of a session between two nodes, in which one of them makes calls to a client of the other. */
class Bridge implements PeerEvents {
  readonly #role: "client" | "server";
  readonly #pipe: Pipe;
  readonly #sessions: Sessions;
  readonly #peer: Peer;
  readonly #driver: Driver;
  readonly #onClosed: () => void;
  #closed = false;
  #callsSeen = -1;
  /** Calls off what is waited for. */
  #stopWaiting: (() => void) | undefined;

  constructor(
    role: "client" | "server",
    pipe: Pipe,
    sessions: Sessions,
    answerer: Answerer,
    onClosed: () => void,
  ) {
    this.#role = role;
    this.#pipe = pipe;
    this.#sessions = sessions;
    this.#onClosed = onClosed;
    const { settings, encoder, calls, createTransport, timers } = sessions;
    this.#peer = new Peer({
      role,
      settings: settings.session,
      encoder,
      calls: { ...calls, role, answerer },
      createTransport,
      events: this,
      ...(role === "server" ? { id: new Uint8Array(randomBytes(16)), epoch: sessions.epoch } : {}),
    });
    this.#driver = new Driver(this.#peer, timers, atEndOfTurn);
  }

  get transport(): Transport {
    return this.#peer.transport;
  }

  start(): void {
    const pipe = this.#pipe;
    const { timers, settings } = this.#sessions;
    pipe.listen({
      onMessage: (bytes) => {
        pipe.take(bytes.length);
        this.#receive(bytes);
      },
      onDrain: () => this.#driver.flush(),
      onClose: (_code, reason) => this.#end(reason),
    });
    if (this.#closed) return;
    if (this.#role === "server") {
      // Whoever has opened it may have given up on the answer, and never say a word.
      this.#stopWaiting = timers.after(settings.session.handshakeTimeoutMs, () =>
        this.onCut(CloseCode.handshakeTimeout, "no Hello from the other node"),
      );
      return;
    }
    this.#driver.setLink(pipe);
    this.#peer.linkUp(timers.clock(), "");
    this.#driver.watch();
    this.#watchIdle();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#driver.link !== undefined) return this.#driver.receive(bytes);
    const [hello] = decodePacket(bytes).frames;
    if (hello?.kind !== "hello") return this.onCut(CloseCode.badHello, "no Hello from the other node");
    this.#stopWaiting?.();
    this.#driver.setLink(this.#pipe);
    this.#peer.accept(hello, false, this.#sessions.timers.clock());
    this.#driver.watch();
  }

  #watchIdle(): void {
    this.#stopWaiting = this.#sessions.timers.after(IDLE_MS, () => {
      const { calls } = this.#peer;
      const isIdle = calls.size === 0 && calls.opened === this.#callsSeen;
      this.#callsSeen = calls.opened;
      if (!isIdle) return this.#watchIdle();
      this.#pipe.close(CloseCode.normal, "no calls");
      this.#end("the bridge was idle");
    });
  }

  #end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopWaiting?.();
    this.#driver.dispose();
    this.#peer.close(
      `the node that the client is connected to cannot be reached: ${reason}`,
      Code.Unavailable,
    );
    this.#onClosed();
  }

  // ---- for the peer --------------------------------------------------------------------------------------------

  onOpen(): void {
    // Calls go out by themselves.
  }

  onLost(): void {
    // A bridge does not resume.
  }

  onGoAway(): void {
    // Nodes do not say so here; they close.
  }

  onRefresh(): void {
    // Nodes trust each other.
  }

  onCut(code: number, reason: string): void {
    this.#pipe.close(code, reason);
    this.#end(reason);
  }

  onWake(full: boolean): void {
    this.#driver.wake(full);
  }

  onDeadline(): void {
    this.#driver.watch();
  }

  whyNotOpen(): string {
    return "the bridge to the other node is not open yet";
  }
}

const NOBODY: Answerer = {
  answer: (_frame, name) => ({
    refused: true,
    code: Code.Unimplemented,
    message: `${name} is not served between nodes`,
  }),
};
