import { connect, createServer, type Socket } from "node:net";
import type { Random } from "../../src/base/clock.js";

/** Leads each new connection to a node at random, as a load balancer without stickiness, and breaks them on command. */
export interface Front {
  readonly port: number;
  readonly open: number;
  /** Breaks this part of all connections, chosen at random. */
  cut(part: number): void;
  close(): Promise<void>;
}

/** @param ports of the nodes; some may not be there at the moment */
export async function startFront(ports: () => readonly number[], random: Random): Promise<Front> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    const all = ports();
    const back = connect(all[Math.floor(random() * all.length)] ?? 1, "127.0.0.1");
    open.add(socket);
    socket.setNoDelay(true);
    back.setNoDelay(true);
    socket.on("error", () => back.destroy()).on("close", () => back.destroy());
    back.on("error", () => socket.resetAndDestroy()).on("close", () => socket.destroy());
    socket.on("close", () => open.delete(socket));
    socket.pipe(back).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", 2_000, resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    get open() {
      return open.size;
    },
    cut(part) {
      for (const socket of open) if (random() < part) socket.resetAndDestroy();
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
