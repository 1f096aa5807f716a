import yoctoSpinner from "yocto-spinner";
import { durationText } from "../values.js";
import { microsText } from "./report.js";
import type { Tally } from "./tally.js";

const EVERY_MS = 200;

/** One line at the bottom of a terminal that says how far a run is; nothing where there is no terminal. */
export interface Progress {
  connecting(open: number, count: number): void;
  /** Shows a run until {@link Progress.stop}. */
  running(tally: Tally, warmUpMs: number, durationMs: number): void;
  stop(): void;
}

/** Makes a {@link Progress} on the standard error. */
export function createProgress(wanted: boolean): Progress {
  const spinner =
    wanted && process.stderr.isTTY
      ? yoctoSpinner({ stream: process.stderr, handleSignals: false })
      : undefined;
  let timer: NodeJS.Timeout | undefined;
  return {
    connecting(open, count) {
      const line = `connecting: ${open} of ${count}`;
      if (spinner?.isSpinning) spinner.text = line;
      else spinner?.start(line);
    },
    running(tally, warmUpMs, durationMs) {
      if (spinner === undefined) return;
      const start = performance.now();
      const show = () => {
        spinner.text = runningLine(tally, performance.now() - start - warmUpMs, durationMs);
      };
      timer = setInterval(show, EVERY_MS);
      show();
    },
    stop() {
      clearInterval(timer);
      spinner?.stop();
    },
  };
}

/** @param elapsedMs since the measurement began; negative while it warms up */
export function runningLine(tally: Tally, elapsedMs: number, durationMs: number): string {
  if (elapsedMs < 0) return `warming up: ${durationText(-elapsedMs)} left`;
  const seconds = elapsedMs / 1_000;
  const rate = Math.round(tally.answered / seconds).toLocaleString("en");
  const parts = [
    `${durationText(Math.min(elapsedMs, durationMs))} of ${durationText(durationMs)}`,
    `${rate} calls/s`,
  ];
  if (tally.messages > 0)
    parts.push(`${Math.round(tally.messages / seconds).toLocaleString("en")} messages/s`);
  if (tally.fromDue.count > 0)
    parts.push(`p50 ${microsText(tally.fromDue.at(50))}`, `p99 ${microsText(tally.fromDue.at(99))}`);
  parts.push(`${tally.failed.toLocaleString("en")} errors`);
  return parts.join("   ");
}
