import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Host, Reading, TailRequestSchema } from "../../../gen/hawser/demo/v1/host_pb.js";
import { TailState } from "../../../gen/hawser/demo/v1/host_pb.js";
import { codeName, RpcError } from "../../index.js";
import { bytes, count, hex, percent, time } from "../format.js";
import { createGate } from "../gate.js";
import type { HostClient } from "../host-client.js";
import type { TailEvidence, UploadEvidence, WatchEvidence } from "./checks.js";
import { narrate } from "./narrate.js";
import type { Printer } from "./printer.js";
import { hashFile, type RealFile, uploadRequests } from "./real-file.js";

/** A unary call may wait for several reconnections, but not for ever. */
const SNAPSHOT_TIMEOUT_MS = 15_000;

/** Makes one Snapshot call. `note` tells why, and `first` asks for the machine. Returns whether it was answered. */
export async function takeSnapshot(
  client: HostClient,
  printer: Printer,
  note: string,
  first: boolean,
): Promise<boolean> {
  const begin = performance.now();
  const tell = (outcome: string, text: string) =>
    printer.event("snapshot", `${outcome} after ${time(performance.now() - begin)}${note}: ${text}`);
  try {
    const { host, reading } = await client.snapshot({ maxProcesses: 1 }, { timeoutMs: SNAPSHOT_TIMEOUT_MS });
    tell("OK", first ? describeHost(host, reading) : describe(reading));
    return true;
  } catch (reason) {
    const error = RpcError.from(reason);
    tell(codeName(error.code), error.rawMessage);
    return false;
  }
}

/** A reading in a few words. */
function describe(reading: Reading | undefined): string {
  const { load, memory, processes } = reading ?? {};
  const words: string[] = [];
  if (load !== undefined) {
    words.push(`busy ${percent(load.busy)}`);
    if (load.oneMinute !== undefined) words.push(`load ${load.oneMinute.toFixed(2)}`);
  }
  if (memory !== undefined) words.push(`${bytes(memory.available)} memory free`);
  if (processes !== undefined) words.push(describeProcesses(processes));
  return words.join(", ");
}

/** The machine in a few words: what the first Snapshot of the account tells. */
function describeHost(host: Host | undefined, reading: Reading | undefined): string {
  const { memory, disk } = reading ?? {};
  const words = host === undefined ? [] : [host.hostname, host.system, `${host.cpuCount} × ${host.cpuModel}`];
  if (memory !== undefined) words.push(`${bytes(memory.total)} memory`);
  if (disk !== undefined) words.push(`${bytes(disk.available)} of ${bytes(disk.total)} disk free`);
  return words.join(", ");
}

function describeProcesses({
  total,
  processes,
  unavailableReason,
}: NonNullable<Reading["processes"]>): string {
  if (unavailableReason !== "") return `no processes: ${unavailableReason}`;
  const busiest = processes[0];
  const first = busiest === undefined ? "" : `, first ${busiest.name} (${percent(busiest.cpu)})`;
  return `${total} processes${first}`;
}

/** Reads `wanted` readings at an interval, and keeps their numbers. */
export function watchReadings(
  client: HostClient,
  printer: Printer,
  wanted: number,
  intervalMs: number,
): Promise<WatchEvidence | Error> {
  return narrate(printer, "watch", `${wanted} readings, one every ${time(intervalMs)}`, async (call) => {
    const numbers: number[] = [];
    const request = { count: wanted, interval: durationFromMs(intervalMs), maxProcesses: 1 };
    for await (const { number, reading } of client.watch(request)) {
      numbers.push(Number(number));
      if (numbers.length % Math.ceil(wanted / 5) === 0 && numbers.length < wanted) {
        call.say(`reading ${number}: ${describe(reading)}`);
      }
    }
    call.ended(`${numbers.length} readings, the last is number ${numbers.at(-1) ?? "none"}`);
    return { wanted, numbers };
  });
}

/** Uploads a file, and compares what the server says with a hash of its own. */
export function uploadFile(
  client: HostClient,
  printer: Printer,
  file: RealFile,
  sha256: string,
): Promise<UploadEvidence | Error> {
  return narrate(printer, "upload", `${file.path}, ${count(file.size)} bytes`, async (call) => {
    let told = 0;
    const progress = (sent: number) => {
      const quarters = Math.floor((sent / file.size) * 4);
      if (quarters > told && sent < file.size)
        call.say(`${percent(quarters / 4)} handed over, ${count(sent)} bytes`);
      told = Math.max(told, quarters);
    };
    const answer = await client.upload(uploadRequests(file, progress));
    const arrived = { size: Number(answer.size), sha256: hex(answer.sha256) };
    call.ended(
      `${count(arrived.size)} bytes in ${answer.messages} messages, sha-256 ${arrived.sha256.slice(0, 16)}…`,
    );
    return { sent: { size: file.size, sha256 }, arrived };
  });
}

/** A log that the server tails, and the moments at which the account does something with it. */
export interface TailPlan {
  /** Name of the log, and where it is, to compare at the end. */
  readonly log: string;
  readonly path: string;
  /** Pause after this many lines, for this long. */
  readonly pauseAfter: number;
  readonly pauseMs: number;
  /** Resolves when the file grows no more. */
  readonly grown: Promise<void>;
}

/** Follows a growing file, with one pause, until it grows no more; compares the lines with the file. */
export function tailLog(client: HostClient, printer: Printer, plan: TailPlan): Promise<TailEvidence | Error> {
  const { log, path, pauseAfter, pauseMs, grown } = plan;
  return narrate(printer, "tail", `the log "${log}", a pause after ${pauseAfter} lines`, async (call) => {
    const lines: { number: number; text: string }[] = [];
    let whilePaused = 0;
    let state = TailState.UNSPECIFIED;
    const enough = createGate();
    const paused = createGate();

    async function* commands(): AsyncGenerator<MessageInitShape<typeof TailRequestSchema>> {
      yield { command: { case: "start", value: { log } } };
      // A file that ends before there is enough of it must not be waited for.
      await Promise.race([enough.opened, grown]);
      yield { command: { case: "pause", value: {} } };
      await paused.opened;
      await delay(pauseMs);
      yield { command: { case: "resume", value: {} } };
      await grown;
      yield { command: { case: "stop", value: {} } };
    }

    for await (const { event } of client.tail(commands())) {
      if (event.case === "line") {
        lines.push({ number: Number(event.value.number), text: event.value.text });
        if (state === TailState.PAUSED) whilePaused += 1;
        if (lines.length === pauseAfter) enough.open();
      } else if (event.case === "status") {
        state = event.value.state;
        call.say(`${TailState[state].toLowerCase()} after line ${event.value.afterLine}`);
        if (state === TailState.PAUSED) paused.open();
      }
    }
    // What comes after the last line break is no line.
    const file = (await readFile(path, "utf8")).split("\n").slice(0, -1);
    call.ended(`${lines.length} lines of ${file.length}`);
    return { file, lines, whilePaused };
  });
}

/** Hashes the local file; printed, so that the reader can compare with the sum of another tool. */
export async function hashLocal(file: RealFile, printer: Printer): Promise<string> {
  const sha256 = await hashFile(file.path);
  printer.event("upload", `local    ${file.path} has sha-256 ${sha256}`);
  return sha256;
}
