import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Which way bytes go: up is from client to server. */
export type Direction = "up" | "down";

/** What a proxy does with the first connection through it. */
export interface CutPlan {
  readonly direction: Direction;
  /** Bytes of that direction that still pass; then both sides are destroyed. */
  readonly afterBytes: number;
}

/** A TCP proxy in front of a server. */
export interface CutProxy {
  readonly port: number;
  readonly connections: number;
  /** Bytes that passed, of all connections. */
  readonly passed: Readonly<Record<Direction, number>>;
  /** Whether the plan was carried out. */
  readonly wasCut: boolean;
  /** Destroys all connections that stand now. */
  cut(): void;
  /** From now on bytes are swallowed silently, while connections stay up; `false` ends it for new connections. */
  stall(on: boolean): void;
  close(): Promise<void>;
}

/** Starts a proxy that breaks its first connection as planned; later ones pass untouched. */
export async function startCutProxy(targetPort: number, plan?: CutPlan): Promise<CutProxy> {
  const passed = { up: 0, down: 0 };
  const sockets = new Set<Socket>();
  let connections = 0;
  let wasCut = false;
  let stalled = false;

  const server: Server = createServer((client) => {
    const first = ++connections === 1;
    const upstream = connect({ port: targetPort, host: "127.0.0.1" });
    let left = plan?.afterBytes ?? 0;
    const destroy = () => {
      client.destroy();
      upstream.destroy();
    };
    const relay = (direction: Direction, from: Socket, to: Socket) => {
      const isCut = first && plan?.direction === direction;
      from.on("data", (bytes: Buffer) => {
        if (stalled) return;
        if (isCut && bytes.length >= left) {
          wasCut = true;
          passed[direction] += left;
          // The part before the cut must arrive: a reset could overtake it.
          to.end(bytes.subarray(0, left), () => setImmediate(destroy));
          from.pause();
          return;
        }
        if (isCut) left -= bytes.length;
        passed[direction] += bytes.length;
        to.write(bytes);
      });
      from.on("close", () => {
        sockets.delete(from);
        if (!stalled) to.end();
      });
      from.on("error", () => to.destroy());
      sockets.add(from);
    };
    client.setNoDelay(true);
    upstream.setNoDelay(true);
    relay("up", client, upstream);
    relay("down", upstream, client);
    if (first && plan?.afterBytes === 0) {
      wasCut = true;
      destroy();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    passed,
    get wasCut() {
      return wasCut;
    },
    cut() {
      for (const socket of [...sockets]) socket.destroy();
    },
    stall(on) {
      stalled = on;
    },
    close() {
      for (const socket of [...sockets]) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
