import { readFile, statfs } from "node:fs/promises";
import os from "node:os";

/** Names of the machine that do not change while it runs. */
export interface HostFacts {
  readonly hostname: string;
  readonly system: string;
  readonly architecture: string;
  readonly cpuModel: string;
  readonly cpuCount: number;
}

/** Asks the operating system what machine this is. */
export function readHost(): HostFacts {
  const cpus = os.cpus();
  return {
    hostname: os.hostname(),
    system: `${os.type()} ${os.release()}`,
    architecture: os.arch(),
    // Some ARM kernels name no model.
    cpuModel: cpus[0]?.model.trim() || "unknown",
    cpuCount: os.availableParallelism(),
  };
}

/** How busy the processors are. */
export interface LoadReading {
  /** Share of all processors' time that was not idle lately, 0 to 1. */
  readonly busy: number;
  /** Over 1, 5 and 15 minutes; `undefined` on Windows, which has no load average. */
  readonly averages: readonly [number, number, number] | undefined;
}

/**
 * The share of busy time is taken over this long at least. Kernels count in steps of about 10 ms, so that shorter
 * spans tell nothing; and many callers share one reader, each of which would shorten the span of the others.
 */
const SPAN_MS = 250;

/** A reader of the load. The first reading tells the average since the machine started. */
export function createLoadReader(): () => LoadReading {
  let before = { busy: 0, total: 0 };
  let share = 0;
  return () => {
    const cpus = os.cpus();
    const now = { busy: 0, total: 0 };
    for (const { times } of cpus) {
      const total = times.user + times.nice + times.sys + times.irq + times.idle;
      now.total += total;
      now.busy += total - times.idle;
    }
    // Counters of a virtual machine may step back a little; then the last share still holds, too.
    if (now.total - before.total >= SPAN_MS * cpus.length && cpus.length > 0) {
      share = Math.min(1, Math.max(0, (now.busy - before.busy) / (now.total - before.total)));
      before = now;
    }
    const [one = 0, five = 0, fifteen = 0] = os.loadavg();
    return { busy: share, averages: process.platform === "win32" ? undefined : [one, five, fifteen] };
  };
}

/** Bytes of main memory. */
export interface MemoryReading {
  readonly total: number;
  readonly available: number;
}

/** Asks for main memory. On Linux, what the page cache would give back counts as available. */
export async function readMemory(): Promise<MemoryReading> {
  const total = os.totalmem();
  const unused = { total, available: os.freemem() };
  if (process.platform !== "linux") return unused;
  const text = await readFile("/proc/meminfo", "utf8").catch(() => "");
  const kibibytes = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1]);
  return kibibytes > 0 ? { total, available: kibibytes * 1024 } : unused;
}

/** Bytes of a file system. */
export interface DiskReading {
  readonly path: string;
  readonly total: number;
  readonly available: number;
}

/** Asks for the file system that holds `path`. */
export async function readDisk(path: string): Promise<DiskReading> {
  const { bsize, blocks, bavail } = await statfs(path);
  return { path, total: blocks * bsize, available: bavail * bsize };
}
