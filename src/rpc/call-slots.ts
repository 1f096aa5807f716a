/** What begins a table that is used: enough for most connections. */
const FIRST_SLOTS = 16;

/** From here on calls that meet in a slot are kept elsewhere, instead of in a table twice as large. */
const MAX_SLOTS = 4_096;

/** A larger table goes when it is empty: one burst of calls must not cost a session memory for as long as it lives. */
const KEPT_SLOTS = 256;

const NOTHING: never[] = [];

/**
 * The open calls of one direction, by number.
 *
 * Numbers go up by two and most calls end soon, so a ring of slots holds nearly all of them; the few that live while the
 * ring goes round them are kept in a map. A map for all would cost more than the rest of the table's work: calls come
 * and go all the time, and each time the engine makes a new table for it, the old one keeps alive what it held (Node 24:
 * a quarter of all that a client allocates survived its first collection).
 */
export class CallSlots<Call> {
  #calls: (Call | undefined)[] = NOTHING;
  #ids: number[] = NOTHING;
  #others: Map<number, Call> | undefined;
  #size = 0;

  /** Number of calls. */
  get size(): number {
    return this.#size;
  }

  get(id: number): Call | undefined {
    const slot = this.#slot(id);
    return this.#ids[slot] === id ? this.#calls[slot] : this.#others?.get(id);
  }

  /** Room for so many calls is kept. */
  get slots(): number {
    return this.#ids.length;
  }

  /** Adds a call whose number is not in the table. */
  add(id: number, call: Call): void {
    if (this.#size >= this.#ids.length && this.#ids.length < MAX_SLOTS) this.#grow();
    let slot = this.#slot(id);
    // In a larger ring the two may meet again.
    while (this.#calls[slot] !== undefined) {
      this.#makeRoom(slot);
      slot = this.#slot(id);
    }
    this.#ids[slot] = id;
    this.#calls[slot] = call;
    this.#size++;
  }

  /** Takes a call out; whether it was there. */
  delete(id: number): boolean {
    const slot = this.#slot(id);
    if (this.#ids[slot] === id && this.#calls[slot] !== undefined) this.#calls[slot] = undefined;
    else if (this.#others?.delete(id) !== true) return false;
    this.#size--;
    if (this.#size === 0 && this.#ids.length > KEPT_SLOTS) this.clear();
    return true;
  }

  /** All calls, in the order of their numbers. */
  all(): Call[] {
    const found: [number, Call][] = [...(this.#others ?? [])];
    this.#calls.forEach((call, slot) => {
      if (call !== undefined) found.push([this.#ids[slot] as number, call]);
    });
    return found.sort(([a], [b]) => a - b).map(([, call]) => call);
  }

  clear(): void {
    this.#calls = NOTHING;
    this.#ids = NOTHING;
    this.#others = undefined;
    this.#size = 0;
  }

  #slot(id: number): number {
    // Numbers of one direction are all odd or all even.
    return Math.floor(id / 2) & (this.#ids.length - 1);
  }

  /** A larger ring when this one is half full; otherwise the call in the slot moves out of it. */
  #makeRoom(slot: number): void {
    const { length } = this.#ids;
    if (this.#size * 2 >= length && length < MAX_SLOTS) return this.#grow();
    this.#others ??= new Map();
    this.#others.set(this.#ids[slot] as number, this.#calls[slot] as Call);
    this.#calls[slot] = undefined;
  }

  #grow(): void {
    const calls = this.#calls;
    const ids = this.#ids;
    const { length } = ids;
    const slots = length === 0 ? FIRST_SLOTS : length * 2;
    this.#calls = new Array(slots).fill(undefined);
    this.#ids = new Array(slots).fill(-1);
    calls.forEach((call, old) => {
      if (call === undefined) return;
      const id = ids[old] as number;
      const next = this.#slot(id);
      this.#ids[next] = id;
      this.#calls[next] = call;
    });
  }
}
