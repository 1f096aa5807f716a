import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A way to a server that counts what passes, and may lead to another server later. */
export interface Tap {
  readonly url: string;
  /** Bytes that clients have sent so far. */
  readonly bytes: number;
  /** New connections go to this server from now on. */
  aim(url: string): void;
  close(): Promise<void>;
}

/** Opens a way to a server. */
export async function openTap(url: string): Promise<Tap> {
  let target = new URL(url);
  let bytes = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => undefined);
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
    client.on("data", (chunk) => {
      bytes += chunk.length;
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `ws://127.0.0.1:${port}${target.pathname}`,
    get bytes() {
      return bytes;
    },
    aim(to) {
      target = new URL(to);
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
