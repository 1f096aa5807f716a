/** What {@link DeadlineHeap} keeps: an object with a time and a slot number that belongs to the heap. */
export interface HeapItem {
  /** When this item is due, in milliseconds of the clock that the owner uses. */
  dueAt: number;
  /** Position in the heap; -1 while not in one. Only the heap writes it. */
  heapIndex: number;
}

/**
 * A binary heap of due times, from which any item can be removed.
 *
 * One of these stands in for a timer per call or per connection: the owner asks for {@link DeadlineHeap.next} and
 * arms one timer for it.
 */
export class DeadlineHeap<T extends HeapItem> {
  readonly #items: T[] = [];

  /** Number of items. */
  get size(): number {
    return this.#items.length;
  }

  /** Due time of the earliest item; `Infinity` when empty. */
  get next(): number {
    return this.#items[0]?.dueAt ?? Number.POSITIVE_INFINITY;
  }

  /** Adds an item, or moves it when it is already here. */
  set(item: T, dueAt: number): void {
    if (item.heapIndex < 0) {
      item.dueAt = dueAt;
      item.heapIndex = this.#items.length;
      this.#items.push(item);
      this.#up(item);
      return;
    }
    const earlier = dueAt < item.dueAt;
    item.dueAt = dueAt;
    if (earlier) this.#up(item);
    else this.#down(item);
  }

  /** Removes an item; nothing happens when it is not here. */
  delete(item: T): void {
    const index = item.heapIndex;
    if (index < 0) return;
    item.heapIndex = -1;
    const last = this.#items.pop() as T;
    if (last === item) return;
    last.heapIndex = index;
    this.#items[index] = last;
    this.#up(last);
    this.#down(last);
  }

  /** Removes and returns the earliest item that is due at `now`, if there is one. */
  takeDue(now: number): T | undefined {
    const first = this.#items[0];
    if (first === undefined || first.dueAt > now) return undefined;
    this.delete(first);
    return first;
  }

  #up(item: T): void {
    const items = this.#items;
    let index = item.heapIndex;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = items[parentIndex] as T;
      if (parent.dueAt <= item.dueAt) break;
      items[index] = parent;
      parent.heapIndex = index;
      index = parentIndex;
    }
    items[index] = item;
    item.heapIndex = index;
  }

  #down(item: T): void {
    const items = this.#items;
    let index = item.heapIndex;
    for (;;) {
      let childIndex = 2 * index + 1;
      let child = items[childIndex];
      if (child === undefined) break;
      const right = items[childIndex + 1];
      if (right !== undefined && right.dueAt < child.dueAt) {
        child = right;
        childIndex++;
      }
      if (child.dueAt >= item.dueAt) break;
      items[index] = child;
      child.heapIndex = index;
      index = childIndex;
    }
    items[index] = item;
    item.heapIndex = index;
  }
}
