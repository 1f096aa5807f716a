import { createConnection, createServer, type Socket } from "node:net";

/** The way towards the server is up. */
export type Direction = "up" | "down";

/** How a link breaks: both sides see the end of the stream, a reset, or nothing at all. */
export type How = "end" | "reset" | "stall";

/** A break of one connection. */
export interface Break {
  readonly direction: Direction;
  /** So many bytes of the direction still pass. */
  readonly after: number;
  readonly how: How;
}

export interface FaultyLinkOptions {
  readonly targetPort: number;
  /** The break of connection 1, 2, 3 …; `undefined`: it holds. */
  readonly plan?: (connection: number) => Break | undefined;
  /** May change bytes before they pass on. `offset`: of the first one within its connection and direction. */
  readonly mangle?: (direction: Direction, chunk: Buffer, offset: number) => Buffer;
}

/** A TCP proxy that breaks at exact bytes. */
export interface FaultyLink {
  readonly port: number;
  /** URL for clients. */
  readonly url: string;
  /** Connections accepted so far. */
  readonly connections: number;
  /** Breaks made so far, planned or not. */
  readonly breaks: number;
  /** Bytes passed on, by connection. */
  readonly passed: readonly { readonly up: number; readonly down: number }[];
  /** Breaks all connections now. */
  cut(how: How): void;
  close(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  readonly bytes: { up: number; down: number };
  broken: boolean;
}

/** Listens on a free port of this machine. */
export async function createFaultyLink(options: FaultyLinkOptions): Promise<FaultyLink> {
  const pairs = new Set<Pair>();
  const passed: { up: number; down: number }[] = [];
  let breaks = 0;

  const stop = (pair: Pair, how: How) => {
    pair.broken = true;
    breaks++;
    if (how === "stall") {
      pair.client.pause();
      pair.server.pause();
      return;
    }
    for (const socket of [pair.client, pair.server]) {
      if (how === "reset") socket.resetAndDestroy();
      else socket.destroySoon();
    }
  };

  const carry = (pair: Pair, direction: Direction, planned: Break | undefined) => {
    const [from, to] = direction === "up" ? [pair.client, pair.server] : [pair.server, pair.client];
    const pass = (chunk: Buffer) => {
      const bytes = options.mangle?.(direction, chunk, pair.bytes[direction]) ?? chunk;
      pair.bytes[direction] += bytes.length;
      return to.write(bytes);
    };
    from.on("data", (chunk: Buffer) => {
      if (pair.broken) return;
      if (planned?.direction === direction && pair.bytes[direction] + chunk.length >= planned.after) {
        const rest = chunk.subarray(0, planned.after - pair.bytes[direction]);
        if (rest.length > 0) pass(rest);
        stop(pair, planned.how);
        return;
      }
      if (pass(chunk)) return;
      from.pause();
      to.once("drain", () => {
        if (!pair.broken) from.resume();
      });
    });
    from.on("error", () => undefined);
    from.on("close", () => {
      if (pair.broken) return;
      to.destroySoon();
    });
  };

  const listener = createServer({ noDelay: true }, (client) => {
    const server = createConnection({ port: options.targetPort, host: "127.0.0.1", noDelay: true });
    const pair: Pair = { client, server, bytes: { up: 0, down: 0 }, broken: false };
    pairs.add(pair);
    passed.push(pair.bytes);
    const planned = options.plan?.(passed.length);
    const gone = () => {
      if (client.destroyed && server.destroyed) pairs.delete(pair);
    };
    client.on("close", gone);
    server.on("close", gone);
    carry(pair, "up", planned);
    carry(pair, "down", planned);
    if (planned?.after === 0) stop(pair, planned.how);
  });
  await new Promise<void>((resolve, reject) => {
    listener.once("error", reject);
    listener.listen(0, "127.0.0.1", resolve);
  });
  const { port } = listener.address() as { port: number };

  return {
    port,
    url: `ws://127.0.0.1:${port}/rpc`,
    get connections() {
      return passed.length;
    },
    get breaks() {
      return breaks;
    },
    passed,
    cut(how) {
      for (const pair of pairs) if (!pair.broken) stop(pair, how);
    },
    close: () =>
      new Promise((resolve) => {
        listener.close(() => resolve());
        for (const { client, server } of pairs) {
          client.destroy();
          server.destroy();
        }
      }),
  };
}
