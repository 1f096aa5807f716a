import { describe, expect, test } from "vitest";
import { checkEvidence, compareRow, type Evidence } from "../../src/demo/account/checks.js";
import { createPrinter } from "../../src/demo/account/printer.js";
import { createRowCounter } from "../../src/demo/page/row-counter.js";

const row = (last: number) => Array.from({ length: last }, (_, index) => index + 1);
const file = ["first", "second", "third"];
const lines = file.map((text, index) => ({ number: index + 1, text }));

/** What a good account saw. */
const good = {
  upload: { sent: { size: 9, sha256: "ab" }, arrived: { size: 9, sha256: "ab" } },
  watch: { wanted: 10, numbers: row(10) },
  tail: { file, lines, whilePaused: 0 },
  snapshots: { made: 4, answered: 4 },
  link: { planned: 5, cuts: 5, resumes: 5, lost: 0 },
} satisfies Evidence;

function failing(evidence: Evidence): string[] {
  return checkEvidence(evidence)
    .filter((check) => !check.ok)
    .map((check) => `${check.name}: ${check.found}`);
}

test("all is well when nothing is wrong", () => {
  expect(failing(good)).toEqual([]);
});

describe("the final check goes red", () => {
  test.each<[string, Partial<Evidence>, string]>([
    [
      "when a byte of the file is wrong",
      { upload: { ...good.upload, arrived: { size: 9, sha256: "ac" } } },
      "upload sha-256: ac",
    ],
    [
      "when the file is short",
      { upload: { ...good.upload, arrived: { size: 8, sha256: "ab" } } },
      "upload size: 8",
    ],
    [
      "when a reading is lost",
      { watch: { wanted: 10, numbers: row(10).toSpliced(4, 1) } },
      "watch numbers: 1 lost",
    ],
    ["when the last reading is lost", { watch: { wanted: 10, numbers: row(9) } }, "watch numbers: 1 lost"],
    [
      "when a reading comes twice",
      { watch: { wanted: 10, numbers: row(10).toSpliced(4, 0, 4) } },
      "watch numbers: 1 doubled",
    ],
    [
      "when two readings change places",
      { watch: { wanted: 10, numbers: [2, 1, ...row(10).slice(2)] } },
      "watch numbers: 1 late",
    ],
    [
      "when there are more readings than there can be",
      { watch: { wanted: 10, numbers: row(11) } },
      "watch numbers: 1 foreign",
    ],
    [
      "when no reading was wanted",
      { watch: { wanted: 0, numbers: [] } },
      "watch numbers: 0, 0 lost, 0 doubled",
    ],
    [
      "when a line differs from the file",
      { tail: { ...good.tail, lines: lines.with(1, { number: 2, text: "other" }) } },
      "tail lines as in the file: 2",
    ],
    [
      "when a line came during the pause",
      { tail: { ...good.tail, whilePaused: 1 } },
      "tail lines while paused: 1",
    ],
    ["when a call failed", { watch: new Error("UNAVAILABLE: gone") }, "watch ended well: UNAVAILABLE: gone"],
    ["when a snapshot was not answered", { snapshots: { made: 4, answered: 3 } }, "snapshots answered: 3"],
    ["when a cut is missing", { link: { ...good.link, cuts: 4, resumes: 4 } }, "cuts made: 4"],
    ["when a cut was not survived", { link: { ...good.link, resumes: 4 } }, "cuts survived by resuming: 4"],
    ["when the session was lost", { link: { ...good.link, lost: 1 } }, "sessions lost: 1"],
  ])("%s", (_, change, expected) => {
    expect(failing({ ...good, ...change })).toEqual([expected]);
  });

  test("when a line of the file is lost, in its number and in its text", () => {
    expect(failing({ ...good, tail: { ...good.tail, lines: lines.toSpliced(1, 1) } })).toEqual([
      "tail line numbers: 1 lost",
      "tail lines as in the file: 2",
    ]);
  });

  test("and the table says so", () => {
    let text = "";
    const printer = createPrinter({ write: (piece) => (text += piece) });
    expect(printer.table(checkEvidence(good))).toBe(true);
    expect(text).not.toContain("FAIL");
    expect(printer.table(checkEvidence({ ...good, snapshots: { made: 2, answered: 1 } }))).toBe(false);
    expect(text).toMatch(/FAIL {2}snapshots answered +2 +1\n/);
  });
});

test("a row is compared number by number", () => {
  expect(compareRow([], 3)).toEqual({ lost: 3, doubled: 0, late: 0, foreign: 0 });
  expect(compareRow([1, 3, 2, 3, 9, 0], 4)).toEqual({ lost: 1, doubled: 1, late: 1, foreign: 2 });
});

test("the page's counter finds the same faults while the row comes in", () => {
  const counter = createRowCounter();
  for (const number of [1, 2, 5, 3, 5]) counter.add(number);
  expect([counter.received, counter.missing, counter.doubled]).toEqual([5, 1, 1]);
  counter.restart();
  for (const number of [1, 2, 3]) counter.add(number);
  expect([counter.received, counter.missing, counter.doubled]).toEqual([8, 1, 1]);
});
