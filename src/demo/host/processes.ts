import { execFile } from "node:child_process";
import { readdir, readFile, readlink } from "node:fs/promises";
import { basename } from "node:path";
import { promisify } from "node:util";

/** One running program. */
export interface ProcessEntry {
  readonly pid: number;
  /** The program's name without arguments. */
  readonly name: string;
  /** Share of one processor, 1 for a whole one. */
  readonly cpu: number;
  /** Bytes in main memory. */
  readonly resident: number;
}

/** All running programs, the busiest first, or the reason why this system does not tell. */
export type ProcessList =
  | { readonly entries: readonly ProcessEntry[] }
  | { readonly entries: readonly []; readonly unavailable: string };

/** Reads the list anew. Keeps what it needs from the reading before to tell what is busy now. */
export type ProcessReader = () => Promise<ProcessList>;

const run = promisify(execFile);

/** The reader for this operating system: `/proc` on Linux, `ps` on other Unix systems, none on Windows. */
export function createProcessReader(platform: NodeJS.Platform = process.platform): ProcessReader {
  if (platform === "linux") return createProcReader();
  if (platform === "win32") {
    return () =>
      Promise.resolve({ entries: [], unavailable: "Windows lists processes to native programs only" });
  }
  return readPs;
}

/** Busiest first; among equals the largest. */
function byLoad(a: ProcessEntry, b: ProcessEntry): number {
  return b.cpu - a.cpu || b.resident - a.resident;
}

/** What `/proc/<pid>/stat` says, in the kernel's own units. See proc_pid_stat(5). */
interface ProcStat {
  readonly name: string;
  /** utime + stime. */
  readonly ticks: number;
  /** When it started, in ticks after boot. */
  readonly startTicks: number;
  readonly residentPages: number;
}

/** Takes one line of `/proc/<pid>/stat` apart; `undefined` when it is not one. */
export function parseProcStat(line: string): ProcStat | undefined {
  // The name stands in parentheses and may hold spaces and parentheses itself: only the last one ends it.
  const open = line.indexOf("(");
  const close = line.lastIndexOf(")");
  if (open < 0 || close < open) return undefined;
  // The first field after the name is field 3 (state); utime is 14, stime 15, starttime 22, rss 24.
  const fields = line.slice(close + 2).split(" ");
  const field = (number: number) => Number(fields[number - 3]);
  const stat = {
    name: line.slice(open + 1, close),
    ticks: field(14) + field(15),
    startTicks: field(22),
    residentPages: field(24),
  };
  return Number.isFinite(stat.ticks + stat.startTicks + stat.residentPages) ? stat : undefined;
}

function createProcReader(): ProcessReader {
  let units: Promise<{ ticksPerSecond: number; pageBytes: number }> | undefined;
  let before = new Map<number, ProcStat>();
  let beforeUptime = 0;
  return async () => {
    units ??= readUnits();
    const { ticksPerSecond, pageBytes } = await units;
    const uptime = Number((await readFile("/proc/uptime", "utf8")).split(" ")[0]);
    const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
    const now = new Map<number, ProcStat>();
    await Promise.all(
      pids.map(async (pid) => {
        const stat = parseProcStat(await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""));
        // One that ended between the listing and the reading is not there any more; that is no error.
        if (stat !== undefined) now.set(pid, await named(pid, stat));
      }),
    );
    const entries = [...now].map(([pid, stat]): ProcessEntry => {
      // A pid may have been given to another program since: then the start time differs, and so the past does not count.
      const past = before.get(pid);
      const known = past !== undefined && past.startTicks === stat.startTicks;
      const ticks = known ? stat.ticks - past.ticks : stat.ticks;
      const seconds = uptime - (known ? beforeUptime : stat.startTicks / ticksPerSecond);
      const cpu = seconds > 0 ? Math.max(0, ticks / ticksPerSecond / seconds) : 0;
      return { pid, name: stat.name, cpu, resident: stat.residentPages * pageBytes };
    });
    before = now;
    beforeUptime = uptime;
    return { entries: entries.sort(byLoad) };
  };
}

/** Node.js calls its main thread so, and the kernel takes that for the name of the program. */
const NODE_THREAD = "MainThread";

/** Gives a Node.js program the name of its file instead of that of its thread. */
async function named(pid: number, stat: ProcStat): Promise<ProcStat> {
  if (stat.name !== NODE_THREAD) return stat;
  // Not readable for programs of other users.
  const path = await readlink(`/proc/${pid}/exe`).catch(() => "");
  return path === "" ? stat : { ...stat, name: basename(path) };
}

/** The units of `/proc`, which differ between processors and kernels. */
async function readUnits(): Promise<{ ticksPerSecond: number; pageBytes: number }> {
  const ask = async (name: string, fallback: number) => {
    const answer = await run("getconf", [name]).catch(() => undefined);
    const value = Number(answer?.stdout);
    return value > 0 ? value : fallback;
  };
  // The fallbacks are what nearly every Linux has; containers without getconf are the reason for them.
  const [ticksPerSecond, pageBytes] = await Promise.all([ask("CLK_TCK", 100), ask("PAGESIZE", 4096)]);
  return { ticksPerSecond, pageBytes };
}

async function readPs(): Promise<ProcessList> {
  try {
    const { stdout } = await run("ps", ["-A", "-o", "pid,pcpu,rss,comm"], { maxBuffer: 16 * 1024 * 1024 });
    return { entries: parsePs(stdout).sort(byLoad) };
  } catch (error) {
    return {
      entries: [],
      unavailable: `ps failed: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

/** The entries in the output of `ps -A -o pid,pcpu,rss,comm`; its heading and broken lines are left out. */
export function parsePs(output: string): ProcessEntry[] {
  const entries: ProcessEntry[] = [];
  for (const line of output.split("\n")) {
    const match = /^\s*(\d+)\s+([\d.,]+)\s+(\d+)\s+(.+?)\s*$/.exec(line);
    if (match === null) continue;
    const [, pid, percent, kibibytes, command] = match as unknown as [string, string, string, string, string];
    entries.push({
      pid: Number(pid),
      // macOS gives the whole path of a program; its last part is the name.
      name: command.slice(command.lastIndexOf("/") + 1),
      // Some languages write the decimal point as a comma.
      cpu: Number(percent.replace(",", ".")) / 100,
      resident: Number(kibibytes) * 1024,
    });
  }
  return entries;
}
