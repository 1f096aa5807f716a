import { count } from "../format.js";

/** What the account saw, for the final check. A part is an `Error` when its call failed. */
export interface Evidence {
  readonly upload: UploadEvidence | Error;
  readonly watch: WatchEvidence | Error;
  readonly tail: TailEvidence | Error;
  readonly snapshots: { readonly made: number; readonly answered: number };
  readonly link: {
    readonly planned: number;
    readonly cuts: number;
    readonly resumes: number;
    readonly lost: number;
  };
}

/** The local file, and what the server says arrived. Hashes are hexadecimal. */
export interface UploadEvidence {
  readonly sent: { readonly size: number; readonly sha256: string };
  readonly arrived: { readonly size: number; readonly sha256: string };
}

/** How many readings were asked for, and the numbers of those that came, in the order in which they came. */
export interface WatchEvidence {
  readonly wanted: number;
  readonly numbers: readonly number[];
}

/** The lines of the file, the lines that came, and how many of those came between PAUSED and RESUMED. */
export interface TailEvidence {
  readonly file: readonly string[];
  readonly lines: readonly { readonly number: number; readonly text: string }[];
  readonly whilePaused: number;
}

/** One row of the final table. */
export interface Check {
  readonly name: string;
  readonly expected: string;
  readonly found: string;
  readonly ok: boolean;
}

/** How a row of numbers differs from 1, 2, 3 … `last`. */
export interface RowFaults {
  /** Numbers that never came. */
  readonly lost: number;
  /** Numbers that came again. */
  readonly doubled: number;
  /** Numbers that came after a larger one, for the first time. */
  readonly late: number;
  /** Numbers that should not exist: outside 1 to `last`. */
  readonly foreign: number;
}

/** Compares numbers, in the order in which they came, with 1 to `last`. */
export function compareRow(numbers: readonly number[], last: number): RowFaults {
  const seen = new Set<number>();
  const faults = { doubled: 0, late: 0, foreign: 0 };
  let largest = 0;
  for (const number of numbers) {
    if (!Number.isInteger(number) || number < 1 || number > last) faults.foreign += 1;
    else if (seen.has(number)) faults.doubled += 1;
    else {
      seen.add(number);
      if (number < largest) faults.late += 1;
      largest = Math.max(largest, number);
    }
  }
  return { lost: last - seen.size, ...faults };
}

/** The final check: a row for everything that must hold, in the order of the account. */
export function checkEvidence(evidence: Evidence): Check[] {
  const { snapshots, link } = evidence;
  return [
    ...part("upload", evidence.upload, checkUpload),
    ...part("watch", evidence.watch, checkWatch),
    ...part("tail", evidence.tail, checkTail),
    same("snapshots answered", snapshots.made, snapshots.answered),
    same("cuts made", link.planned, link.cuts),
    same("cuts survived by resuming", link.cuts, link.resumes),
    same("sessions lost", 0, link.lost),
  ];
}

function part<T>(name: string, evidence: T | Error, check: (evidence: T) => Check[]): Check[] {
  if (!(evidence instanceof Error)) return check(evidence);
  return [{ name: `${name} ended well`, expected: "OK", found: evidence.message, ok: false }];
}

function same(name: string, expected: number | string, found: number | string): Check {
  const text = (value: number | string) => (typeof value === "number" ? count(value) : value);
  return { name, expected: text(expected), found: text(found), ok: expected === found };
}

function checkUpload({ sent, arrived }: UploadEvidence): Check[] {
  return [same("upload size", sent.size, arrived.size), same("upload sha-256", sent.sha256, arrived.sha256)];
}

function checkWatch({ wanted, numbers }: WatchEvidence): Check[] {
  return [checkRow("watch numbers", numbers, wanted)];
}

function checkTail({ file, lines, whilePaused }: TailEvidence): Check[] {
  const numbers = lines.map((line) => line.number);
  const equal = lines.filter((line) => file[line.number - 1] === line.text).length;
  return [
    checkRow("tail line numbers", numbers, file.length),
    same("tail lines as in the file", file.length, equal),
    same("tail lines while paused", 0, whilePaused),
  ];
}

function checkRow(name: string, numbers: readonly number[], last: number): Check {
  const faults = compareRow(numbers, last);
  const told = Object.entries(faults).filter(([, count]) => count > 0);
  return {
    name,
    expected: last === 0 ? "at least one" : `1 to ${count(last)}, each once`,
    found:
      told.length > 0
        ? told.map(([fault, count]) => `${count} ${fault}`).join(", ")
        : `${count(numbers.length)}, 0 lost, 0 doubled`,
    // Nothing that should have come is no proof of anything.
    ok: told.length === 0 && last > 0,
  };
}
