/** Counts what went wrong in a row of numbers 1, 2, 3 … while it is coming in. */
export interface RowCounter {
  readonly received: number;
  /** Numbers below the largest that have not come. */
  readonly missing: number;
  /** Numbers that came again. */
  readonly doubled: number;
  /** Takes in the next number. */
  add(number: number): void;
  /** Begins a new row at 1; what was counted so far stays. */
  restart(): void;
}

/** Makes a counter. It remembers only the numbers that are missing, not all that came. */
export function createRowCounter(): RowCounter {
  let received = 0;
  let doubled = 0;
  let missingBefore = 0;
  let largest = 0;
  let missing = new Set<number>();
  return {
    get received() {
      return received;
    },
    get missing() {
      return missingBefore + missing.size;
    },
    get doubled() {
      return doubled;
    },
    add(number) {
      received += 1;
      if (number > largest) {
        for (let gap = largest + 1; gap < number; gap++) missing.add(gap);
        largest = number;
      } else if (!missing.delete(number)) doubled += 1;
    },
    restart() {
      missingBefore += missing.size;
      missing = new Set();
      largest = 0;
    },
  };
}
