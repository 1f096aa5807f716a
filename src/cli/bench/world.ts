import type { LoadWorld } from "./load.js";

/** `setTimeout` may be this late, in milliseconds. */
const TIMER_SLACK_MS = 1.5;

/** The real clock, and waiting by it. */
export interface Waiting extends Pick<LoadWorld, "clock" | "until" | "stop"> {
  /** No more load: whoever waits goes on at once. */
  end(): void;
}

/** Makes a {@link Waiting} that ends with a signal, or when it is told to. */
export function realTime(signal: AbortSignal): Waiting {
  const ending = new AbortController();
  const waiting = new Set<() => void>();
  const end = () => {
    ending.abort();
    for (const go of [...waiting]) go();
  };
  if (signal.aborted) end();
  else signal.addEventListener("abort", end, { once: true });
  const clock = () => performance.now();
  return {
    clock,
    stop: ending.signal,
    end,
    until: (time, exactly = false) =>
      new Promise((resolve) => {
        const left = time - clock();
        if (ending.signal.aborted || left <= 0) return resolve();
        const go = () => {
          clearTimeout(timer);
          waiting.delete(go);
          resolve();
        };
        const spin = () => {
          if (ending.signal.aborted || clock() >= time) go();
          else setImmediate(spin);
        };
        const timer = setTimeout(exactly ? spin : go, Math.max(0, exactly ? left - TIMER_SLACK_MS : left));
        waiting.add(go);
        if (exactly && left <= TIMER_SLACK_MS) {
          clearTimeout(timer);
          spin();
        }
      }),
  };
}
