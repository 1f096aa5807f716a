import { setTimeout as delay } from "node:timers/promises";
import { HostService } from "../../../gen/hawser/demo/v1/host_pb.js";
import { type Connection, connect, createClient } from "../../client/index.js";
import { createFaultProxy, type FaultProxy, seededRandom } from "../../testing/index.js";
import { bytesThrough, type Cut, cutByPlan, planCuts } from "../cut-plan.js";
import { bytes, count, time } from "../format.js";
import { LIVENESS } from "../monitor.js";
import { growLog } from "../service/log-file.js";
import { RPC_PATH } from "../web/web-server.js";
import { hashLocal, tailLog, takeSnapshot, uploadFile, watchReadings } from "./calls.js";
import { type Check, checkEvidence } from "./checks.js";
import type { Printer } from "./printer.js";
import { findRealFile } from "./real-file.js";

/** What an account is made of. */
export interface AccountOptions {
  readonly printer: Printer;
  /** Port of the server on this machine. */
  readonly serverPort: number;
  /** Decides where the link is cut, and how. */
  readonly seed: number;
  /** How often the link is cut. */
  readonly cuts: number;
  /** The log to tail: its name at the server, where to write it, and its lines. */
  readonly log: {
    readonly name: string;
    readonly path: string;
    readonly line: (number: number) => Promise<string>;
  };
  /** Aborting it ends the account early: the connection is closed, and what is under way fails. */
  readonly signal: AbortSignal;
}

/** The link is made so slow that the upload takes about this long, to be under way at every cut. */
const UPLOAD_MS = 7_000;
const WATCH_INTERVAL_MS = 50;
/** More than the upload takes, a stall included, so that both run at every cut. */
const WATCH_READINGS = 220;
const LOG_INTERVAL_MS = 25;
const PAUSE_AFTER_LINES = 60;
const PAUSE_MS = 1_500;
const SNAPSHOT_PAUSE_MS = 800;

/**
 * Makes all four kinds of calls over a link that it cuts, tells what happens, and says what must hold at the end.
 */
export async function runAccount(options: AccountOptions): Promise<Check[]> {
  const { printer, seed, cuts, log, signal } = options;
  const file = await findRealFile();
  const sha256 = await hashLocal(file, printer);
  const seen = { resumes: 0, lost: 0, made: 0, answered: 0 };
  const pending: Promise<void>[] = [];

  const bytesPerSecond = Math.ceil((file.size * 1_000) / UPLOAD_MS);
  const plan = planCuts(cuts, file.size, seededRandom(seed));
  const onCut = (cut: Cut) => {
    tellCut(printer, cut, cuts, connection.callsInFlight);
    pending.push(snapshot(", made when the link was cut"));
  };
  const link: FaultProxy = await createFaultProxy({
    target: { port: options.serverPort },
    bytesPerSecond,
    ...cutByPlan(plan, () => link, onCut),
  });
  printer.event("link", `slow and bad: ${bytes(bytesPerSecond)} per second, ${cuts} cuts from seed ${seed}`);
  const connection = connectOver(link, printer, seen);
  const client = createClient(HostService, connection);
  signal.addEventListener("abort", () => void connection.close(), { once: true });
  const snapshot = async (note: string) => {
    seen.made += 1;
    if (await takeSnapshot(client, printer, note, seen.made === 1)) seen.answered += 1;
  };

  try {
    const growing = await growLog(log.path, LOG_INTERVAL_MS, log.line);
    const uploading = uploadFile(client, printer, file, sha256);
    const watching = watchReadings(client, printer, WATCH_READINGS, WATCH_INTERVAL_MS);
    const busy = Promise.all([uploading, watching]);
    const grown = busy.then(() => growing.stop());
    const tailing = tailLog(client, printer, {
      log: log.name,
      path: log.path,
      pauseAfter: PAUSE_AFTER_LINES,
      pauseMs: PAUSE_MS,
      grown,
    });
    await repeat(busy, SNAPSHOT_PAUSE_MS, () => snapshot(""));
    const [upload, watch, tail] = await Promise.all([uploading, watching, tailing, grown]);
    await Promise.all(pending);
    return checkEvidence({
      upload,
      watch,
      tail,
      snapshots: seen,
      link: { planned: cuts, cuts: link.breaks, resumes: seen.resumes, lost: seen.lost },
    });
  } finally {
    await connection.close();
    await link.close();
    const { up, down } = bytesThrough(link);
    printer.event("link", `closed after ${count(up)} bytes up and ${count(down)} down`);
  }
}

/** Calls again and again, one after the other, until `busy` is over. */
async function repeat(busy: Promise<unknown>, pauseMs: number, call: () => Promise<void>): Promise<void> {
  let over = false;
  const done = busy.then(() => {
    over = true;
  });
  while (!over) {
    await call();
    await Promise.race([done, delay(pauseMs, undefined, { ref: false })]);
  }
}

function tellCut(printer: Printer, cut: Cut, of: number, calls: number): void {
  const how = { end: "closed", reset: "reset", stall: "silent from now on, half open" }[cut.kind];
  const where = `at byte ${count(cut.up)} up, ${count(cut.down)} down`;
  printer.event("cut", `${cut.number} of ${of}: ${how} ${where}, ${plural(calls, "call")} in flight`);
}

/** Connects through the link, and tells what becomes of the connection. */
function connectOver(
  link: FaultProxy,
  printer: Printer,
  seen: { resumes: number; lost: number },
): Connection {
  const connection = connect(`ws://127.0.0.1:${link.port}${RPC_PATH}`, {
    ...LIVENESS,
    reconnect: { initialDelayMs: 100, maxDelayMs: 500, stableAfterMs: 500 },
  });
  connection.on("state", ({ state, previous }) => {
    // What leads to "reconnecting" is told by the event of that name.
    if (state !== "reconnecting") printer.event("state", `${previous} → ${state}`);
  });
  connection.on("reconnecting", ({ attempt, delayMs, code, reason }) => {
    const why = reason === "" ? `code ${code}` : `${reason}, code ${code}`;
    printer.event("state", `link lost (${why}); attempt ${attempt} in ${time(delayMs)}`);
  });
  connection.on("resumed", ({ resent, attempts, downMs }) => {
    seen.resumes += 1;
    printer.event(
      "resumed",
      `down for ${time(downMs)}, ${plural(attempts, "attempt")}, ${plural(resent, "packet")} resent`,
    );
  });
  connection.on("lost", () => {
    seen.lost += 1;
    printer.event("lost", "the server does not know the session any more");
  });
  return connection;
}

function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}
