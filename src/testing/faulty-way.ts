import type { Socket } from "node:net";
import type { Random } from "../base/clock.js";
import type { WayBehaviour } from "./proxy-faults.js";

/** What a {@link FaultyWay} is made with. */
export interface WayInit {
  readonly from: Socket;
  readonly to: Socket;
  /** Gets the same bytes as `to`. */
  readonly copy: Socket | undefined;
  /** Looked at whenever it matters: it may change. */
  readonly behaviour: Required<WayBehaviour>;
  /** For the jitter. */
  readonly random: Random;
  /** What passes instead of these bytes, of which the first one is number `offset`, from 0. */
  change(chunk: Buffer, offset: number): Buffer;
  /** So many bytes were written. */
  onPassed(bytes: number): void;
}

/** Something that happens when the bytes before it have passed. */
interface Mark {
  readonly after: number;
  readonly act: () => void;
}

/** Reading stops while more than this is on its way: the sender feels what the way is like. */
const MAX_UNDERWAY_BYTES = 256 * 1024;
/** A slow way may make up for this much lost time at once: timers come late, and late more than early. */
const BURST_MS = 20;
/** A slow way looks this often at most whether more may pass. */
const PACE_MS = 5;

/**
 * One direction of a connection: a queue of bytes and of marks, each with the time before which it does not pass.
 *
 * The ends of the sender's stream are marks too, so that they never overtake its bytes.
 */
export class FaultyWay {
  readonly #init: WayInit;
  readonly #queue: { readonly what: Buffer | (() => void); readonly at: number }[] = [];
  readonly #corrupt = new Set<number>();
  #marks: Mark[] = [];
  #seen = 0;
  #underway = 0;
  #stopped = false;
  #silent = false;
  /** Sockets that are to take what they have before they get more. */
  #full = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the bytes so far would be through at the rate of the way. */
  #throughAt = 0;

  constructor(init: WayInit) {
    this.#init = init;
    const { from, to, copy } = init;
    let ended = false;
    from.on("data", (chunk: Buffer) => this.#receive(chunk));
    from.on("end", () => {
      ended = true;
      if (this.#stopped) return;
      this.#enqueue(() => {
        to.end();
        copy?.end();
      });
    });
    from.on("close", () => {
      if (ended || this.#stopped) return;
      // Without an end: it was reset, or never came about.
      this.#enqueue(() => {
        to.resetAndDestroy();
        copy?.resetAndDestroy();
      });
    });
  }

  /** Bytes that have come in. */
  get seen(): number {
    return this.#seen;
  }

  /** Does something when so many bytes of the way have passed, counted from its first one. */
  mark(after: number, act: () => void): void {
    if (after <= this.#seen) {
      this.#enqueue(act);
      return;
    }
    this.#marks.push({ after, act });
    this.#marks.sort((a, b) => a.after - b.after);
  }

  /** Inverts the byte with this number, from 0. */
  corrupt(offset: number): void {
    this.#corrupt.add(offset);
  }

  /** Nothing passes any more, and nobody is told. */
  stall(): void {
    this.#silent = true;
    clearTimeout(this.#timer);
    this.#flow();
  }

  /** Goes on where it stood. */
  resume(): void {
    this.#silent = false;
    this.#pump();
  }

  /** The behaviour has changed. */
  changed(): void {
    this.#pump();
  }

  /** Forgets what is on its way; what still comes in is thrown away. */
  stop(): void {
    this.#stopped = true;
    this.#silent = false;
    this.#marks = [];
    this.#queue.length = 0;
    clearTimeout(this.#timer);
    this.#init.from.resume();
  }

  #receive(chunk: Buffer): void {
    let rest = chunk;
    while (!this.#stopped) {
      const [mark] = this.#marks;
      const before = mark === undefined ? rest.length : Math.min(rest.length, mark.after - this.#seen);
      if (before > 0) {
        const bytes = this.#changed(rest.subarray(0, before));
        this.#seen += before;
        this.#underway += bytes.length;
        this.#enqueue(bytes);
        rest = rest.subarray(before);
      }
      if (mark === undefined || this.#seen < mark.after) return;
      this.#marks.shift();
      this.#enqueue(mark.act);
    }
  }

  #changed(chunk: Buffer): Buffer {
    const bytes = this.#init.change(chunk, this.#seen);
    const wrong = [...this.#corrupt].map((offset) => offset - this.#seen);
    const here = wrong.filter((index) => index >= 0 && index < bytes.length);
    if (here.length === 0) return bytes;
    const corrupted = Buffer.from(bytes);
    for (const index of here) corrupted[index] = (corrupted[index] as number) ^ 0xff;
    return corrupted;
  }

  #enqueue(what: Buffer | (() => void)): void {
    const { behaviour, random } = this.#init;
    const jitter = behaviour.jitterMs > 0 ? random() * behaviour.jitterMs : 0;
    // What is in front of it is waited for too: nothing overtakes.
    this.#queue.push({ what, at: performance.now() + behaviour.latencyMs + jitter });
    this.#pump();
  }

  /** Passes on what may pass by now. */
  #pump(): void {
    clearTimeout(this.#timer);
    let wait: number | undefined;
    while (!this.#silent && this.#full === 0) {
      const [first] = this.#queue;
      if (first === undefined) break;
      wait = first.at - performance.now();
      if (wait > 0) break;
      if (typeof first.what === "function") {
        this.#queue.shift();
        first.what();
        continue;
      }
      const allowed = this.#allowed(first.what.length);
      if (allowed === 0) {
        wait = PACE_MS;
        break;
      }
      if (allowed < first.what.length) {
        this.#queue[0] = { what: first.what.subarray(allowed), at: first.at };
      } else this.#queue.shift();
      this.#write(first.what.subarray(0, allowed));
    }
    if (!this.#silent && this.#full === 0 && this.#queue.length > 0) {
      this.#timer = setTimeout(() => this.#pump(), Math.max(1, Math.ceil(wait ?? 0)));
    }
    this.#flow();
  }

  /** How many of so many bytes the rate allows now; they count as used. */
  #allowed(bytes: number): number {
    const perMs = this.#init.behaviour.bytesPerSecond / 1_000;
    if (perMs === Number.POSITIVE_INFINITY) {
      this.#throughAt = 0;
      return bytes;
    }
    const now = performance.now();
    // However slow the way is, a byte must become due some time.
    this.#throughAt = Math.max(this.#throughAt, now - Math.max(BURST_MS, 2 / perMs));
    const allowed = Math.min(bytes, Math.max(0, Math.floor((now - this.#throughAt) * perMs)));
    this.#throughAt += allowed / perMs;
    return allowed;
  }

  #write(bytes: Buffer): void {
    const { to, copy } = this.#init;
    this.#underway -= bytes.length;
    if (to.writable) this.#init.onPassed(bytes.length);
    for (const socket of [to, copy]) {
      if (socket === undefined || !socket.writable || socket.write(bytes)) continue;
      this.#full++;
      const goOn = () => {
        socket.off("drain", goOn).off("close", goOn);
        this.#full--;
        this.#pump();
      };
      socket.on("drain", goOn).on("close", goOn);
    }
  }

  /** Reads, or lets the sender feel that nobody does. */
  #flow(): void {
    const { from } = this.#init;
    if (this.#silent || (!this.#stopped && (this.#full > 0 || this.#underway > MAX_UNDERWAY_BYTES)))
      from.pause();
    else from.resume();
  }
}
