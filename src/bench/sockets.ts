import type { AddressInfo, Server, Socket } from "node:net";

/** The sockets that a server has accepted. */
export interface Accepted {
  /** Bytes that all of them have read and written so far, those that are gone included. */
  traffic(): number;
  /** Destroys all that are open. */
  cut(): void;
}

/** Keeps account of the sockets that a server accepts: of `node:net`, or of HTTP, which stands on it. */
export function watchSockets(server: Pick<Server, "on">): Accepted {
  const open = new Set<Socket>();
  let closed = 0;
  const bytes = ({ bytesRead, bytesWritten }: Socket) => bytesRead + bytesWritten;
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.once("close", () => {
      open.delete(socket);
      closed += bytes(socket);
    });
  });
  return {
    traffic: () => [...open].reduce((sum, socket) => sum + bytes(socket), closed),
    cut() {
      for (const socket of open) socket.destroy();
    },
  };
}

/** Listens on a free port of this machine; room for storms of connections in the backlog. */
export async function listenLocally(server: Server): Promise<number> {
  await new Promise<void>((resolve) =>
    server.listen({ port: 0, host: "127.0.0.1", backlog: 4_096 }, resolve),
  );
  return (server.address() as AddressInfo).port;
}
