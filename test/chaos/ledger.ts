/** What was acknowledged to publishers, and what subscribers saw of it. */
export class Ledger {
  /** Highest number that was acknowledged, by topic; all below it are too. */
  readonly acknowledged: Map<string, number> = new Map();
  readonly faults: string[] = [];
  gaps = 0;
  delivered = 0;

  constructor(topics: readonly string[]) {
    for (const topic of topics) this.acknowledged.set(topic, 0);
  }

  fault(text: string): void {
    // Each one is enough; thousands would hide the first.
    if (this.faults.length < 50) this.faults.push(text);
  }
}

/** One subscriber of a topic: checks each message against the one before. */
export class Account {
  last = -1;
  readonly #name: string;
  readonly #mayGap: boolean;
  readonly #ledger: Ledger;

  constructor(name: string, mayGap: boolean, ledger: Ledger) {
    this.#name = name;
    this.#mayGap = mayGap;
    this.#ledger = ledger;
  }

  saw(number: number, gap: string | undefined): void {
    this.#ledger.delivered++;
    if (gap !== undefined) {
      this.#ledger.gaps++;
      if (!this.#mayGap) this.#ledger.fault(`${this.#name}: a gap (${gap}) before ${number}`);
    }
    if (this.last >= 0) {
      if (number <= this.last) this.#ledger.fault(`${this.#name}: ${number} after ${this.last}`);
      else if (number > this.last + 1 && gap === undefined)
        this.#ledger.fault(`${this.#name}: ${number} after ${this.last}, without a word`);
    }
    this.last = number;
  }
}
