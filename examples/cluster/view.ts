// What is printed.
import { setTimeout as sleep } from "node:timers/promises";
import type { Watcher } from "./watcher.js";

const begin = performance.now();

/** A line with the time since the beginning. */
export function say(text: string): void {
  const seconds = ((performance.now() - begin) / 1_000).toFixed(1);
  console.log(`${seconds.padStart(6)} s  ${text}`);
}

/** Prints a line every second, until the signal. */
export async function view(watcher: Watcher, signal: AbortSignal): Promise<void> {
  for (let before = 0; ; ) {
    try {
      await sleep(1_000, undefined, { signal });
    } catch {
      return;
    }
    const where = await watcher.locate();
    const { ledger, resumed, lost } = watcher;
    const { messages, gaps, faults } = ledger;
    const parts = [
      `${messages} messages (+${messages - before})`,
      count(gaps, "gap"),
      where === undefined ? "no answer" : `link on ${where.linkNode}, session on ${where.sessionNode}`,
      `${resumed} resumed, ${lost} lost`,
      ...(faults.length === 0 ? [] : [`WRONG: ${faults.at(-1)}`]),
    ];
    before = messages;
    if (!signal.aborted) say(parts.join(" | "));
  }
}

/** @example count(2, "gap") // "2 gaps" */
export function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
