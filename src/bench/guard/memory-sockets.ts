import net, { type AddressInfo, Server, type Socket } from "node:net";
import { Duplex } from "node:stream";

/** A read of the kernel's gives no more than this at once. */
const READ_BYTES = 65_536;

type Done = (error?: Error | null) => void;

/** What has passed through all memory sockets so far. */
export interface Passed {
  /** Times that something was handed over; with a kernel below, a system call each. */
  readonly writes: number;
  readonly bytes: number;
}

/** Sockets of this process that need no kernel. */
export interface MemorySockets {
  passed(): Passed;
}

/**
 * From now on, sockets that this process opens to itself are pairs of streams in memory. What is written arrives in the next
 * turn of the event loop, as much together as a read of the kernel's would give. So the same work takes the same steps each
 * time and on each machine.
 */
export function installMemorySockets(): MemorySockets {
  const counts = { writes: 0, bytes: 0 };
  const servers = new Map<number, Server>();
  const { listen } = Server.prototype;
  Server.prototype.listen = function (this: Server, ...given: unknown[]) {
    this.once("listening", () => servers.set((this.address() as AddressInfo).port, this));
    return Reflect.apply(listen, this, given) as Server;
  };
  net.connect = ((options: { readonly port: number }) => {
    const server = servers.get(Number(options.port));
    if (server === undefined) throw new Error(`nobody listens on port ${options.port} in this process`);
    const [near, far] = [new MemorySocket(counts), new MemorySocket(counts)];
    near.other = far;
    far.other = near;
    process.nextTick(() => {
      server.emit("connection", far);
      near.emit("connect");
    });
    return near as unknown as Socket;
  }) as typeof net.connect;
  return { passed: () => ({ ...counts }) };
}

/** One end. It has as much of `net.Socket` as `node:http` and `ws` ask for. */
class MemorySocket extends Duplex {
  readonly remoteAddress = "127.0.0.1";
  readonly localAddress = "127.0.0.1";
  bytesRead = 0;
  bytesWritten = 0;
  other: MemorySocket | undefined;
  readonly #counts: { writes: number; bytes: number };
  /** Written by the other end, and not read yet. */
  #waiting: Uint8Array[] = [];
  #scheduled = false;
  #ending = false;

  constructor(counts: { writes: number; bytes: number }) {
    super({ allowHalfOpen: false });
    this.#counts = counts;
  }

  override _write(chunk: Uint8Array, _encoding: string, done: Done): void {
    this.#hand([chunk]);
    done();
  }

  override _writev(chunks: readonly { readonly chunk: Uint8Array }[], done: Done): void {
    this.#hand(chunks.map(({ chunk }) => chunk));
    done();
  }

  override _final(done: Done): void {
    this.other?.arrive([], true);
    done();
  }

  override _read(): void {
    // What arrives is pushed at once: readers that do not keep up are not what is measured.
  }

  override _destroy(error: Error | null, done: Done): void {
    this.other?.arrive([], true);
    this.other = undefined;
    done(error);
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  setTimeout(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  #hand(chunks: readonly Uint8Array[]): void {
    this.#counts.writes++;
    for (const { length } of chunks) {
      this.#counts.bytes += length;
      this.bytesWritten += length;
    }
    this.other?.arrive(chunks, false);
  }

  /** Something comes from the other end. */
  arrive(chunks: readonly Uint8Array[], end: boolean): void {
    this.#waiting.push(...chunks);
    this.#ending ||= end;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const chunks = this.#waiting;
    this.#waiting = [];
    let rest = chunks.reduce((sum, { length }) => sum + length, 0);
    let chunk = 0;
    let used = 0;
    while (rest > 0 && !this.destroyed) {
      // A copy, as from a kernel: who has written keeps its memory.
      const piece = Buffer.allocUnsafeSlow(Math.min(rest, READ_BYTES));
      for (let at = 0; at < piece.length; ) {
        const from = chunks[chunk] as Uint8Array;
        const part = from.subarray(used, used + piece.length - at);
        piece.set(part, at);
        at += part.length;
        used += part.length;
        if (used === from.length) {
          chunk++;
          used = 0;
        }
      }
      rest -= piece.length;
      this.bytesRead += piece.length;
      this.push(piece);
    }
    if (this.#ending && !this.destroyed && !this.readableEnded) this.push(null);
  }
}
