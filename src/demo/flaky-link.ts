import { createConnection, createServer, type Server, type Socket } from "node:net";
import type { CutKind, PlannedCut } from "./cut-plan.js";

/** What a {@link FlakyLink} is made of. */
export interface FlakyLinkOptions {
  /** Port on this machine where the connections end. */
  readonly targetPort: number;
  /** What each direction of each connection carries at most, in bytes per second. Default: no limit. */
  readonly bytesPerSecond?: number;
  /** Cuts to make by themselves, in the order of their bytes. */
  readonly plan?: readonly PlannedCut[];
  /** Told after each cut, planned or not. */
  readonly onCut?: (cut: Cut) => void;
}

/** A cut that was made. */
export interface Cut {
  /** 1 for the first. */
  readonly number: number;
  readonly kind: CutKind;
  /** Bytes that had gone up and down through the link, over all connections, when it broke. */
  readonly up: number;
  readonly down: number;
}

/** A TCP link on this machine that breaks on command. */
export interface FlakyLink {
  /** Port to connect to. */
  readonly port: number;
  /** Connections that were accepted so far. */
  readonly connections: number;
  /** Bytes passed on so far, over all connections. */
  readonly up: number;
  readonly down: number;
  /** Cuts made so far. */
  readonly cuts: number;
  /** Breaks all connections now. Says whether there was one to break. */
  cut(kind: CutKind): boolean;
  /** Breaks everything, stalled connections too, and stops listening. */
  close(): Promise<void>;
}

/** One connection through the link: the client's socket, and the one towards the server. */
interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  state: "live" | "stalled" | "broken";
}

/**
 * Listens on a free port and passes bytes on to `targetPort`.
 *
 * It knows nothing of what goes through: a planned cut falls wherever its byte falls, in the middle of a frame of
 * whatever protocol that is.
 */
export async function createFlakyLink(options: FlakyLinkOptions): Promise<FlakyLink> {
  const pairs = new Set<Pair>();
  const plan = [...(options.plan ?? [])].sort((a, b) => a.atByte - b.atByte);
  const count = { connections: 0, up: 0, down: 0, cuts: 0 };

  const cut = (kind: CutKind): boolean => {
    const live = [...pairs].filter((pair) => pair.state === "live");
    if (live.length === 0) return false;
    for (const pair of live) breakPair(pair, kind);
    count.cuts += 1;
    options.onCut?.({ number: count.cuts, kind, up: count.up, down: count.down });
    return true;
  };

  /** Passes on what came from one side, up to the byte where a cut is planned. */
  const pass = (pair: Pair, direction: "up" | "down", chunk: Buffer): Buffer | undefined => {
    if (pair.state !== "live") return undefined;
    const next = plan[0];
    if (direction === "down" || next === undefined || count.up + chunk.length < next.atByte) {
      count[direction] += chunk.length;
      return chunk;
    }
    plan.shift();
    const before = chunk.subarray(0, Math.max(0, next.atByte - count.up));
    count.up += before.length;
    pair.server.write(before);
    cut(next.kind);
    return undefined;
  };

  const listener = createServer({ noDelay: true }, (client) => {
    count.connections += 1;
    const server = createConnection({ port: options.targetPort, host: "127.0.0.1", noDelay: true });
    const pair: Pair = { client, server, state: "live" };
    pairs.add(pair);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      // What broke is told by "close", which always follows.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        // Bytes that this side still sent before it closed are let through; a stalled pair stays silent for ever.
        if (pair.state !== "stalled") {
          pair.state = "broken";
          other.destroySoon();
        }
        if (client.destroyed && server.destroyed) pairs.delete(pair);
      });
    }
    const { bytesPerSecond } = options;
    const stalled = () => pair.state === "stalled";
    carry(client, server, { bytesPerSecond, stalled, pass: (chunk) => pass(pair, "up", chunk) });
    carry(server, client, { bytesPerSecond, stalled, pass: (chunk) => pass(pair, "down", chunk) });
  });

  const port = await listen(listener);
  return {
    port,
    get connections() {
      return count.connections;
    },
    get up() {
      return count.up;
    },
    get down() {
      return count.down;
    },
    get cuts() {
      return count.cuts;
    },
    cut,
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

function breakPair(pair: Pair, kind: CutKind): void {
  pair.state = kind === "stall" ? "stalled" : "broken";
  if (kind === "stall") {
    // Nobody reads any more: what is sent fills the buffers of the operating system, as on a dead mobile link.
    pair.client.pause();
    pair.server.pause();
    return;
  }
  for (const socket of [pair.client, pair.server]) {
    if (kind === "reset") socket.resetAndDestroy();
    else socket.destroy();
  }
}

/** How bytes are carried in one direction. */
interface Carriage {
  readonly bytesPerSecond: number | undefined;
  /** Whether nothing passes any more. */
  readonly stalled: () => boolean;
  /** What of a chunk to write on; `undefined` when the link broke. */
  readonly pass: (chunk: Buffer) => Buffer | undefined;
}

/** A slow link may make up for this much lost time at once: timers come late, and late more than early. */
const BURST_MS = 20;

/**
 * Writes to `to` what passes of what comes from `from`. Reading stops while the other side cannot take more, so that
 * the sender feels the slowness as on a real link.
 */
function carry(from: Socket, to: Socket, { bytesPerSecond, stalled, pass }: Carriage): void {
  // When the bytes so far would be through at this speed.
  let throughAt = 0;
  let full = false;
  let early = false;
  const goOn = () => {
    if (!full && !early && !stalled()) from.resume();
  };
  from.on("data", (chunk: Buffer) => {
    const passed = pass(chunk);
    if (passed === undefined || to.destroyed) return;
    full = !to.write(passed);
    if (full) {
      to.once("drain", () => {
        full = false;
        goOn();
      });
    }
    if (bytesPerSecond !== undefined) {
      const now = performance.now();
      throughAt = Math.max(now - BURST_MS, throughAt) + (passed.length / bytesPerSecond) * 1_000;
      early = throughAt > now;
      if (early) {
        setTimeout(() => {
          early = false;
          goOn();
        }, throughAt - now);
      }
    }
    if (full || early) from.pause();
  });
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("the link has no TCP port"));
      else resolve(address.port);
    });
  });
}
