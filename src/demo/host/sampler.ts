import os from "node:os";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Host,
  HostSchema,
  type ProcessTableSchema,
  type Reading,
  ReadingSchema,
} from "../../../gen/hawser/demo/v1/host_pb.js";
import { createProcessReader, type ProcessList } from "./processes.js";
import { createLoadReader, type DiskReading, readDisk, readHost, readMemory } from "./readings.js";

/** Turns what the operating system says into messages. Shared by all calls of one server. */
export interface Sampler {
  /** What does not change. */
  readonly host: Host;
  /** Reads now. At most `maxProcesses` are listed, and never more than {@link MAX_PROCESSES}. */
  read(maxProcesses: number): Promise<Reading>;
}

/** The most processes that a reading lists. */
export const MAX_PROCESSES = 50;

/** Walking through all processes, and asking a file system, is too dear to do for every reading of every caller. */
const SLOW_READINGS_MS = 1_000;

/** Makes a sampler that watches the file system of `diskPath`. */
export function createSampler(diskPath: string = process.cwd()): Sampler {
  const facts = readHost();
  const readLoad = createLoadReader();
  const readProcesses = remember(createProcessReader(), SLOW_READINGS_MS);
  const readSpace = remember(() => readDisk(diskPath), SLOW_READINGS_MS);
  return {
    host: create(HostSchema, { ...facts }),
    async read(maxProcesses) {
      const [memory, disk, processes] = await Promise.all([readMemory(), readSpace(), readProcesses()]);
      const load = readLoad();
      const [oneMinute, fiveMinutes, fifteenMinutes] = load.averages ?? [];
      return create(ReadingSchema, {
        takenAt: timestampFromMs(Date.now()),
        uptime: durationFromMs(Math.round(os.uptime() * 1_000)),
        load: {
          busy: load.busy,
          ...(oneMinute !== undefined && { oneMinute }),
          ...(fiveMinutes !== undefined && { fiveMinutes }),
          ...(fifteenMinutes !== undefined && { fifteenMinutes }),
        },
        memory: { total: BigInt(memory.total), available: BigInt(memory.available) },
        disk: diskMessage(disk),
        processes: tableMessage(processes, Math.min(maxProcesses, MAX_PROCESSES)),
      });
    },
  };
}

function diskMessage(disk: DiskReading) {
  return { path: disk.path, total: BigInt(disk.total), available: BigInt(disk.available) };
}

function tableMessage(list: ProcessList, most: number): MessageInitShape<typeof ProcessTableSchema> {
  return {
    total: list.entries.length,
    unavailableReason: "unavailable" in list ? list.unavailable : "",
    processes: list.entries.slice(0, most).map((entry) => ({ ...entry, resident: BigInt(entry.resident) })),
  };
}

/** Answers from the last reading while it is younger than `maxAgeMs`; readings never run side by side. */
function remember<T>(read: () => Promise<T>, maxAgeMs: number): () => Promise<T> {
  let last: { readonly value: Promise<T>; readonly at: number } | undefined;
  return () => {
    const now = performance.now();
    if (last === undefined || now - last.at >= maxAgeMs) {
      const value = read();
      last = { value, at: now };
      // A failure is told to whoever waits for it, and not remembered.
      value.catch(() => {
        last = undefined;
      });
    }
    return last.value;
  };
}
