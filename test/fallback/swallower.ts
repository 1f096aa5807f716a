// Something on the way that lets an upgrade pass, answer and all, and swallows what comes after.
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** What is swallowed of a WebSocket: what its client sends, what the server sends, or that but for so many bytes. */
export type Swallows = "up" | "down" | { readonly downAfter: number } | false;

export interface Swallower {
  readonly port: number;
  /** What is done with WebSockets from now on. */
  swallows: Swallows;
  /** WebSockets so far. */
  readonly upgrades: number;
  /** WebSockets that are open and swallowed. */
  readonly swallowing: number;
  /** TCP connections of clients that are open. */
  readonly open: number;
}

const END_OF_HEAD = "\r\n\r\n";

/** Starts one in front of a port, for upgrades and other requests; it is gone when the test is over. */
export async function startSwallower(target: number, swallows: Swallows): Promise<Swallower> {
  const sockets = new Set<Socket>();
  let upgrades = 0;
  let swallowing = 0;
  let clients = 0;
  const swallower = {
    port: 0,
    swallows,
    get upgrades() {
      return upgrades;
    },
    get swallowing() {
      return swallowing;
    },
    get open() {
      return clients;
    },
  };
  const tcp = createServer((client) => {
    clients++;
    client.on("close", () => clients--);
    const server = connect(target, "127.0.0.1");
    // Known by the first bytes: a client does not reuse a connection for an upgrade, nor does nginx.
    let mode: Swallows = false;
    client.once("data", (chunk: Buffer) => {
      if (!/^upgrade: websocket/im.test(chunk.toString("latin1"))) return;
      upgrades++;
      mode = swallower.swallows;
      if (mode === false) return;
      swallowing++;
      client.on("close", () => swallowing--);
    });
    const up = headAnd(() => (mode === "up" ? 0 : Number.POSITIVE_INFINITY));
    const down = headAnd(() => {
      if (typeof mode === "object") return mode.downAfter;
      return mode === "down" ? 0 : Number.POSITIVE_INFINITY;
    });
    client.on("data", (chunk: Buffer) => void server.write(up(chunk)));
    server.on("data", (chunk: Buffer) => void client.write(down(chunk)));
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    tcp.close();
    for (const socket of sockets) socket.destroy();
  });
  swallower.port = (tcp.address() as AddressInfo).port;
  return swallower;
}

/** Lets the head of a message pass, and so many bytes after it. */
function headAnd(limit: () => number): (chunk: Buffer) => Buffer {
  let head: Buffer | undefined = Buffer.alloc(0);
  let passed = 0;
  const pass = (bytes: Buffer): Buffer => {
    const rest = bytes.subarray(0, Math.max(0, limit() - passed));
    passed += rest.length;
    return rest;
  };
  return (chunk) => {
    if (head === undefined) return pass(chunk);
    const whole = Buffer.concat([head, chunk]);
    const end = whole.indexOf(END_OF_HEAD);
    if (end < 0) {
      head = whole;
      return chunk;
    }
    const before = head.length;
    head = undefined;
    const rest = whole.subarray(end + END_OF_HEAD.length);
    return Buffer.concat([whole.subarray(before, end + END_OF_HEAD.length), pass(rest)]);
  };
}
