import type { GeneratedFile, Printable } from "@bufbuild/protoplugin";

/** Lines of generated code, put together before they are printed, so that what comes first can depend on what comes after. */
export interface Code {
  /** Adds a line, indented as deep as it is nested. */
  line(...parts: Printable[]): void;
  /** Adds `head {`, what `body` adds, and `}` with what comes behind it. */
  block(head: Printable[], body: () => void, ...tail: Printable[]): void;
  /** Adds `if (condition) {` and so on; a condition is everything between the words, `undefined` for the last branch. */
  branches(...branches: (readonly [condition: Printable[] | undefined, body: () => void])[]): void;
  /** Adds the lines of other code, indented as they are. */
  append(other: Code): void;
  readonly lines: readonly Printable[][];
  /** Whether a word stands in the text of any line; names of imports do not count. */
  mentions(word: string): boolean;
  /** Prints it all. */
  print(file: GeneratedFile): void;
}

/** @param depth How deep the first line is nested. */
export function createCode(depth = 0): Code {
  const lines: Printable[][] = [];
  let nesting = depth;
  const code: Code = {
    line: (...parts) => void lines.push(["  ".repeat(nesting), ...parts]),
    lines,
    append: (other) => void lines.push(...other.lines),
    block(head, body, ...tail) {
      code.line(...head, " {");
      nesting++;
      body();
      nesting--;
      code.line("}", ...tail);
    },
    branches(...branches) {
      branches.forEach(([condition, body], i) => {
        const head = [
          ...(i === 0 ? [] : ["} else "]),
          ...(condition === undefined ? [] : ["if (", condition, ") "]),
          "{",
        ];
        code.line(...head);
        nesting++;
        body();
        nesting--;
      });
      code.line("}");
    },
    mentions(word) {
      const whole = new RegExp(`(?<![\\w$.])${word}(?![\\w$])`);
      return lines.some((line) => line.flat().some((part) => typeof part === "string" && whole.test(part)));
    },
    print(file) {
      for (const line of lines) file.print(...line);
    },
  };
  return code;
}
