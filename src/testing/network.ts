import type { Random } from "../base/clock.js";
import { CloseCode } from "../base/close.js";
import type { Link, LinkEvents } from "../driver/link.js";
import type { EncodedPacket } from "../wire/encode.js";
import type { VirtualClock } from "./clock.js";

/** How an in-memory network behaves. Times in virtual milliseconds. */
export interface NetworkOptions {
  /** Shortest time that a message takes. Default 5. */
  readonly latencyMs?: number;
  /** Longest random time on top. Messages of one direction never overtake each other. Default 0. */
  readonly jitterMs?: number;
  /** Bytes per second of each direction, per link. Default: no limit. */
  readonly bytesPerSecond?: number;
}

/** Links in memory that break when they are told to. */
export interface Network {
  /** Links that stand. */
  readonly links: number;
  /** Breaks all links: what is on the way is lost, and both ends see an abnormal closure (1006). */
  cut(): void;
  /** All links swallow everything from now on and tell nobody; only liveness can notice. New links are good ones. */
  stall(): void;
  /** Makes a link: two ends that hear each other. Used by the pair. */
  link(client: LinkEvents, server: (open: (events: LinkEvents) => Link) => void): Link;
}

interface Wire {
  cut(): void;
  stall(): void;
}

/** Makes a {@link Network} on a virtual clock. */
export function createNetwork(clock: VirtualClock, random: Random, options: NetworkOptions = {}): Network {
  const { latencyMs = 5, jitterMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY } = options;
  const wires = new Set<Wire>();

  const makeWire = (client: LinkEvents, server: LinkEvents) => {
    let broken = false;
    let silent = false;
    const ends = [client, server] as const;
    const wire: Wire = {
      cut: () => gone(CloseCode.abnormal, ""),
      stall: () => {
        silent = true;
      },
    };
    const gone = (code: number, reason: string) => {
      if (broken) return;
      broken = true;
      wires.delete(wire);
      for (const end of ends) clock.schedule(() => end.onClose(code, reason), 0);
    };
    const makeEnd = (to: LinkEvents, own: LinkEvents): Link => {
      /** When the last message of this direction arrives, and when the sender has written all. */
      let arrival = 0;
      let writtenAt = 0;
      let buffered = 0;
      const carry = (deliver: () => void, bytes: number) => {
        writtenAt = Math.max(writtenAt, clock.now()) + (bytes * 1000) / bytesPerSecond;
        arrival = Math.max(arrival, writtenAt + latencyMs + random() * jitterMs);
        clock.schedule(() => {
          if (!broken && !silent) deliver();
        }, arrival - clock.now());
      };
      return {
        get bufferedBytes() {
          return buffered;
        },
        send(packet) {
          if (broken) return;
          const bytes = whole(packet);
          buffered += bytes.length;
          carry(() => to.onMessage(bytes), bytes.length);
          clock.schedule(() => {
            buffered -= bytes.length;
            if (!broken && buffered === 0) own.onDrain();
          }, writtenAt - clock.now());
        },
        cork() {
          // Nothing is written in pieces here.
        },
        uncork() {
          // See above.
        },
        close(code, reason) {
          if (silent) return gone(CloseCode.abnormal, "");
          carry(() => gone(code, reason), 0);
        },
      };
    };
    wires.add(wire);
    return [makeEnd(server, client), makeEnd(client, server)] as const;
  };

  return {
    get links() {
      return wires.size;
    },
    cut() {
      for (const wire of [...wires]) wire.cut();
    },
    stall() {
      for (const wire of wires) wire.stall();
    },
    link(client, accept) {
      let clientEnd: Link | undefined;
      accept((server) => {
        const [forClient, forServer] = makeWire(client, server);
        clientEnd = forClient;
        return forServer;
      });
      if (clientEnd === undefined) throw new Error("the server did not take the link");
      return clientEnd;
    },
  };
}

/** A copy: what arrives must not share memory with what the sender keeps. */
function whole({ head, body }: EncodedPacket): Uint8Array {
  const bytes = new Uint8Array(head.length + (body?.length ?? 0));
  bytes.set(head);
  if (body !== undefined) bytes.set(body, head.length);
  return bytes;
}
