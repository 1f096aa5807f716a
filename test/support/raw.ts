import type { IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { decodePacket } from "../../src/wire/decode.js";
import type { Frame, WelcomeFrame } from "../../src/wire/frame.js";
import { frames, packet } from "./frames.js";

/** A close code and its reason. */
export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** One end of a WebSocket that speaks whatever a test wants, and hears packets. */
export class RawEnd {
  readonly ws: WebSocket;
  /** All frames so far. */
  readonly heard: Frame[] = [];
  /** Highest packet number heard. */
  lastSeq = 0;
  /** Settles when the WebSocket is closed. */
  readonly closed: Promise<Closed>;
  readonly #waiters = new Set<() => void>();
  #gone: Closed | undefined;

  constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on("message", (data: Buffer) => {
      const { seq, frames: list } = decodePacket(new Uint8Array(data));
      this.lastSeq = Math.max(this.lastSeq, seq);
      this.heard.push(...list);
      this.#changed();
    });
    ws.on("error", () => undefined);
    this.closed = new Promise((resolve) => {
      ws.once("close", (code, reason) => {
        this.#gone = { code, reason: reason.toString() };
        resolve(this.#gone);
        this.#changed();
      });
    });
  }

  /** Sends a binary message, or a text. */
  send(message: Uint8Array | string): void {
    if (this.ws.readyState === this.ws.OPEN) this.ws.send(message);
  }

  /** The first frame so far, or from now on, that fits; takes it out of {@link RawEnd.heard}. */
  async hear<Kind extends Frame["kind"]>(
    kind: Kind,
    fits: (frame: Extract<Frame, { kind: Kind }>) => boolean = () => true,
  ): Promise<Extract<Frame, { kind: Kind }>> {
    for (;;) {
      const index = this.heard.findIndex(
        (frame) => frame.kind === kind && fits(frame as Extract<Frame, { kind: Kind }>),
      );
      if (index >= 0) return this.heard.splice(index, 1)[0] as Extract<Frame, { kind: Kind }>;
      if (this.#gone !== undefined)
        throw new Error(`closed with ${this.#gone.code} (${this.#gone.reason}) before a ${kind} frame`);
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
    }
  }

  /** Sends a ping and waits for its pong: all that was sent before has been handled, and the link stands. */
  async settled(): Promise<void> {
    const id = Math.floor(Math.random() * 2 ** 40);
    this.send(packet(0, frames.ping({ id })));
    await this.hear("pong", (pong) => pong.id === id);
  }

  #changed(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }
}

/** A client that is open, with the TCP socket under it. */
export class RawClient extends RawEnd {
  readonly socket: Socket;

  constructor(ws: WebSocket, socket: Socket) {
    super(ws);
    this.socket = socket;
  }

  /** Sends Hello and waits for Welcome. */
  async greet(hello: Parameters<typeof frames.hello>[0] = {}): Promise<WelcomeFrame> {
    this.send(packet(0, frames.hello(hello)));
    return this.hear("welcome");
  }
}

/** Connects a WebSocket. */
export function rawConnect(url: string, protocol = "hawser.v1"): Promise<RawClient> {
  const ws = new WebSocket(url, protocol, { perMessageDeflate: false });
  let socket: Socket;
  ws.once("upgrade", (response: IncomingMessage) => {
    socket = response.socket;
  });
  return new Promise((resolve, reject) => {
    ws.once("error", reject);
    ws.once("open", () => {
      ws.off("error", reject);
      resolve(new RawClient(ws, socket));
    });
  });
}

/** A WebSocket server that does what a test wants with every connection. */
export interface RawServer {
  readonly url: string;
  readonly port: number;
  /** Connections so far. */
  readonly connections: readonly RawEnd[];
  /** The next connection that was not taken yet. */
  next(): Promise<RawEnd>;
  close(): Promise<void>;
}

/**
 * Listens on a free port.
 *
 * @param onConnection is called before the connection is given to {@link RawServer.next}.
 */
export async function rawServer(onConnection?: (end: RawEnd, number: number) => void): Promise<RawServer> {
  const wss = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "hawser.v1" });
  const connections: RawEnd[] = [];
  let taken = 0;
  const waiters: (() => void)[] = [];
  wss.on("connection", (ws) => {
    const end = new RawEnd(ws);
    connections.push(end);
    onConnection?.(end, connections.length);
    waiters.shift()?.();
  });
  await new Promise<void>((resolve) => wss.once("listening", resolve));
  const { port } = wss.address() as AddressInfo;
  return {
    url: `ws://127.0.0.1:${port}/rpc`,
    port,
    connections,
    async next() {
      while (taken >= connections.length) await new Promise<void>((resolve) => waiters.push(resolve));
      return connections[taken++] as RawEnd;
    },
    close: () =>
      new Promise((resolve) => {
        for (const { ws } of connections) ws.terminate();
        wss.close(() => resolve());
      }),
  };
}
