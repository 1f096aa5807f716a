// The pages of the documentation and their fenced blocks, for all tests that look at them.
import { globSync, readFileSync } from "node:fs";

/** A fenced block of a page. */
export interface Block {
  readonly page: string;
  readonly line: number;
  /** The word behind the fence: `ts`, `sh`. */
  readonly language: string;
  /** What follows the language, and says what the block is; see docs/site/README.md. */
  readonly label: string;
  readonly text: string;
}

/** Every page that a reader may come to: README, docs, and the READMEs of the examples. */
export const PAGES: readonly string[] = [
  "README.md",
  ...globSync(["docs/*.md", "docs/decisions/*.md", "docs/site/*.md", "examples/*/README.md"]).sort(),
];

/** Pages that are a course of their own: a test follows them from an empty folder, block by block. */
export const FOLLOWED: readonly string[] = ["docs/tutorial.md"];

/** The text of a page. */
export function textOf(page: string): string {
  return readFileSync(page, "utf8");
}

/** The blocks of a page, in order. */
export function blocksOf(page: string): Block[] {
  const text = textOf(page);
  return [...text.matchAll(/^```(\S*) ?(.*)\n([\s\S]*?)^```$/gm)].map(
    ({ index, 1: language = "", 2: label = "", 3: body = "" }) => ({
      page,
      line: text.slice(0, index).split("\n").length,
      language,
      label,
      text: body,
    }),
  );
}

/** Whether a block is an excerpt of a file of this repository; which one. */
export function excerptOf({ label }: Block): string | undefined {
  return label.match(/^from (\S+)$/)?.[1];
}
