import { parseArgs } from "node:util";
import { CONTENDERS, type ContenderName } from "./contenders.js";
import { SCENARIOS, type Scenario } from "./scenarios.js";

/** What `npm run bench -- --help` prints. */
export const HELP = `npm run bench -- [options]

  --quick            the first rows only, in less than a minute: a look, with ratios that mean something
  --rounds N         measurements of each contender, alternating; the median counts (default 3; with --quick 2)
  --scenario TEXT    only scenarios whose name or title contains this; may be given more than once
  --contender NAME   only this contender; may be given more than once
  --list             prints scenarios and contenders, and measures nothing
  --json FILE        writes medians and spread of everything
  --html FILE        writes a report with charts
  --write-docs       writes the figures into docs/benchmarks.md
  --from FILE        measures nothing, and takes what --json has written; given more than once, runs of one machine in one
  --profile DIR      leaves a CPU profile of every process in this folder, of the last round
  --nats URL         nats-server for the scenario "cross-node" (default: one is started, if it is installed)
  --help             this text`;

/** What to do. */
export interface BenchArguments {
  readonly quick: boolean;
  readonly rounds: number;
  readonly scenarios: readonly Scenario[];
  readonly contenders: readonly ContenderName[];
  readonly list: boolean;
  readonly help: boolean;
  readonly writeDocs: boolean;
  readonly json: string | undefined;
  readonly html: string | undefined;
  readonly from: readonly string[];
  readonly profile: string | undefined;
  readonly nats: string | undefined;
}

/**
 * Reads the command line.
 *
 * @throws Error that says what is wrong with it.
 */
export function readArguments(args: readonly string[]): BenchArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      scenario: { type: "string", multiple: true, default: [] },
      contender: { type: "string", multiple: true, default: [] },
      list: { type: "boolean", default: false },
      json: { type: "string" },
      html: { type: "string" },
      "write-docs": { type: "boolean", default: false },
      from: { type: "string", multiple: true, default: [] },
      profile: { type: "string" },
      nats: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const rounds = Number(values.rounds ?? (values.quick ? 2 : 3));
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`--rounds must be a whole number from 1 up, not ${values.rounds}`);
  for (const name of values.contender) {
    if (!Object.hasOwn(CONTENDERS, name))
      throw new Error(`no contender is called "${name}"; there are: ${Object.keys(CONTENDERS).join(", ")}`);
  }
  return {
    quick: values.quick,
    rounds,
    scenarios: chooseScenarios(values.scenario, values.quick),
    contenders: values.contender as ContenderName[],
    list: values.list,
    help: values.help,
    writeDocs: values["write-docs"],
    json: values.json,
    html: values.html,
    from: values.from,
    profile: values.profile,
    nats: values.nats,
  };
}

/** Naming a scenario asks for it, whether it is quick or not. */
function chooseScenarios(texts: readonly string[], quick: boolean): readonly Scenario[] {
  if (texts.length === 0) return quick ? SCENARIOS.filter((scenario) => scenario.quick) : SCENARIOS;
  for (const text of texts) {
    if (!SCENARIOS.some((scenario) => contains(scenario, text)))
      throw new Error(
        `no scenario contains "${text}"; there are: ${SCENARIOS.map(({ name }) => name).join(", ")}`,
      );
  }
  return SCENARIOS.filter((scenario) => texts.some((text) => contains(scenario, text)));
}

/** A whole name means that scenario only: `unary-32B-8` is not `unary-32B-8x8`. */
function contains({ name, title }: Scenario, text: string): boolean {
  if (SCENARIOS.some((scenario) => scenario.name === text)) return name === text;
  return name.includes(text) || title.includes(text);
}
