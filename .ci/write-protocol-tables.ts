// Writes the tables of docs/PROTOCOL.md that are made from the sources: the session's states and the close codes.
// `--check` changes nothing and fails when the page is out of step.
import { readFileSync, writeFileSync } from "node:fs";
import { afterClose, CloseCode } from "../src/base/close.js";
import { CLOSE_TABLE } from "../src/base/close-table.js";
import { SESSION_INPUTS, SESSION_STATES, SESSION_TABLE } from "../src/session/state.js";

const PAGE = "docs/PROTOCOL.md";

function stateTable(): string {
  const rows = SESSION_STATES.flatMap((state) =>
    SESSION_INPUTS.flatMap((input) => {
      const transition = SESSION_TABLE[state][input];
      return transition === undefined
        ? []
        : [`| ${state} | ${input} | ${transition[0]} | ${transition[1]} |`];
    }),
  );
  const edges = new Map<string, string[]>();
  for (const state of SESSION_STATES) {
    for (const input of SESSION_INPUTS) {
      const next = SESSION_TABLE[state][input]?.[1];
      if (next === undefined || next === state) continue;
      const edge = `${state} --> ${next}`;
      edges.set(edge, [...(edges.get(edge) ?? []), input]);
    }
  }
  const diagram = [...edges].map(([edge, inputs]) => `  ${edge}: ${inputs.join(", ")}`);
  return [
    "```mermaid",
    "stateDiagram-v2",
    "  [*] --> detached",
    ...diagram,
    "```",
    "",
    "What is not in this table is illegal: from the wire, it closes the link with 1002.",
    "",
    "| state | input | effect | next state |",
    "| --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

function closeTable(): string {
  const rows = CLOSE_TABLE.map(
    ({ name, by, meaning }) =>
      `| ${CloseCode[name]} | ${name} | ${by} | ${afterClose(CloseCode[name])} | ${meaning} |`,
  );
  return [
    "| code | name | sent by | the client then | meaning |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

/** The page with both tables as the sources have them. */
export function withTables(page: string): string {
  let result = page;
  for (const [mark, text] of [
    ["state-table", stateTable()],
    ["close-codes", closeTable()],
  ] as const) {
    const place = new RegExp(`(<!-- generated:${mark} -->)[\\s\\S]*?(<!-- /generated -->)`);
    if (!place.test(result)) throw new Error(`${PAGE} has no place for ${mark}`);
    result = result.replace(place, (_all, begin: string, end: string) => `${begin}\n\n${text}\n\n${end}`);
  }
  return result;
}

if (process.argv[1]?.endsWith("write-protocol-tables.ts") === true) {
  const page = readFileSync(PAGE, "utf8");
  const wanted = withTables(page);
  if (!process.argv.includes("--check")) writeFileSync(PAGE, wanted);
  else if (page !== wanted) {
    console.error(`${PAGE} is out of step with the sources; run npm run write:protocol`);
    process.exitCode = 1;
  }
}
