import { cpus } from "node:os";

/** Where other processes used more of the machine than this, figures mean little. */
export const FOREIGN_PERCENT = 15;

/** CPU time that all processes of the machine have used so far, in milliseconds. Interrupts, which are nobody's, are left out. */
function busyMs(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys, 0);
}

/** What tells how much of the machine others have used. */
export interface ForeignWatch {
  /** @param ownMs CPU time of all processes that belong to the measurement, but for this one. @returns percent of all cores. */
  percent(ownMs: number): number;
}

/** Begins to watch what other processes use while something is measured: on a busy machine its figures mean little. */
export function watchForeign(): ForeignWatch {
  const start = performance.now();
  const busy = busyMs();
  const own = process.cpuUsage();
  return {
    percent(ownMs) {
      const { user, system } = process.cpuUsage(own);
      const foreign = busyMs() - busy - ownMs - (user + system) / 1_000;
      return Math.max(0, (100 * foreign) / ((performance.now() - start) * cpus().length));
    },
  };
}
