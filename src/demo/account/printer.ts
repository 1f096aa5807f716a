import { styleText } from "node:util";
import type { Check } from "./checks.js";

/** What a line of the account is about; decides its colour. */
export type Subject = "serve" | "link" | "cut" | "state" | "resumed" | "lost" | CallName;

/** The four calls of the account. */
export type CallName = "snapshot" | "watch" | "upload" | "tail";

/** Where lines go: a terminal, a file, or a test. */
export interface Output {
  write(text: string): unknown;
  /** Whether this is a terminal; only there are colours of use. */
  readonly isTTY?: boolean | undefined;
}

/** Prints the account, one line per event. */
export interface Printer {
  /** A line with the time since the printer was made. */
  event(subject: Subject, text: string): void;
  /** A line without time; an empty one for spacing. */
  plain(text?: string): void;
  /** The final table, and whether all of it holds. */
  table(checks: readonly Check[]): boolean;
}

type Style = Parameters<typeof styleText>[0];

const STYLES: Readonly<Record<Subject, Style>> = {
  serve: "bold",
  link: "bold",
  cut: ["red", "bold"],
  state: "yellow",
  resumed: ["green", "bold"],
  lost: ["red", "bold"],
  snapshot: "cyan",
  watch: "blue",
  upload: "magenta",
  tail: "gray",
};

const SUBJECT_WIDTH = Math.max(...Object.keys(STYLES).map((subject) => subject.length));

/** Makes a printer. Colours are used on a terminal only, and not when NO_COLOR is set. */
export function createPrinter(output: Output): Printer {
  const begin = performance.now();
  const coloured = output.isTTY === true && !process.env["NO_COLOR"];
  const paint = (style: Style, text: string) =>
    coloured ? styleText(style, text, { validateStream: false }) : text;
  const line = (text: string) => output.write(`${text}\n`);
  return {
    event(subject, text) {
      const seconds = ((performance.now() - begin) / 1_000).toFixed(3).padStart(8);
      line(
        `${paint("dim", `${seconds} s`)}  ${paint(STYLES[subject], subject.padEnd(SUBJECT_WIDTH))}  ${text}`,
      );
    },
    plain(text = "") {
      line(text);
    },
    table(checks) {
      const width = (column: "name" | "expected") => Math.max(...checks.map((check) => check[column].length));
      const [names, expected] = [width("name"), width("expected")];
      for (const check of checks) {
        const mark = check.ok ? paint("green", "ok  ") : paint(["red", "bold"], "FAIL");
        // What was found says nothing new where it is the same, and hashes are long.
        const found = check.ok && check.found === check.expected ? "the same" : check.found;
        line(`  ${mark}  ${check.name.padEnd(names)}  ${check.expected.padEnd(expected)}  ${found}`);
      }
      return checks.every((check) => check.ok);
    },
  };
}
