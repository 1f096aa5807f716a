// Deliberate bugs, put into copies of the sources: what the simulation is worth is how many of them it finds.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";

/** A bug. Where two layers guard the same promise, it takes both of them away. */
export interface Mutant {
  /** The invariant of the design that it breaks. */
  readonly invariant: 1 | 2 | 3 | 5;
  readonly name: string;
  readonly edits: readonly Edit[];
}

/** One place in the sources, and what stands there instead. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export const MUTANTS: readonly Mutant[] = [
  {
    invariant: 1,
    name: "packets that arrive twice are handled twice",
    edits: [
      {
        file: "src/session/inbox.ts",
        find: 'if (seq <= this.#received) return "duplicate";',
        replace: 'if (seq <= this.#received) return "next";',
      },
      {
        file: "src/session/session.ts",
        find: "if (resumed) this.outbox.acknowledge(hello.received);",
        replace: "",
      },
    ],
  },
  {
    invariant: 1,
    name: "what was written when the link broke is not sent again",
    edits: [
      {
        file: "src/session/outbox.ts",
        find: "this.#cursor = this.#head;\n    for (",
        replace: "for (",
      },
    ],
  },
  {
    invariant: 1,
    name: "a late Hello takes the session from the link that overtook it",
    edits: [
      {
        file: "src/session/session.ts",
        find: "return hello.link !== 0 && hello.link <= this.#link;",
        replace: "return false;",
      },
    ],
  },
  {
    invariant: 1,
    name: "a session is lost though it could go on",
    edits: [
      {
        file: "src/server/sessions.ts",
        find: "const resumed = known?.canResume(hello, identity) === true;",
        replace: "const resumed = known?.canResume(hello, identity) === true && hello.received % 7 !== 3;",
      },
    ],
  },
  {
    invariant: 1,
    name: "calls that may have run are attempted again",
    edits: [
      {
        file: "src/retry/logical-call.ts",
        find: "return configured ?? (repeatable ? this.caller.retrier.settings.policy : undefined);",
        replace:
          "return configured ?? (repeatable || true ? this.caller.retrier.settings.policy : undefined);",
      },
    ],
  },
  {
    invariant: 2,
    name: "a call that was lost in flight says that it did not run",
    edits: [
      {
        file: "src/rpc/caller-call.ts",
        find: 'executed: unwritten ? "no" : "unknown"',
        replace: 'executed: "no"',
      },
    ],
  },
  {
    invariant: 2,
    name: "calls of a lost session are forgotten",
    edits: [
      {
        file: "src/rpc/calls.ts",
        find: "call.lost(id > lastOpenWritten);",
        replace: "if (id % 5 !== 0) call.lost(id > lastOpenWritten);",
      },
    ],
  },
  {
    invariant: 2,
    name: "an attempt that failed says nothing of those before it",
    edits: [
      {
        file: "src/retry/logical-call.ts",
        find: "return this.#mayHaveRun ? notCertain(error) : error;",
        replace: "return error;",
      },
    ],
  },
  {
    invariant: 3,
    name: "claims are given out while they last, and nobody is shut out",
    edits: [
      {
        file: "test/simulation/store.ts",
        find: "record.leaseUntil > now",
        replace: "record.leaseUntil > now + 1e9",
      },
      {
        file: "test/simulation/store.ts",
        find: "return record?.attempt === attempt && record.outcome === undefined ? record : undefined;",
        replace: "return record;",
      },
    ],
  },
  {
    invariant: 3,
    name: "an attempt does not wait for the one that runs",
    edits: [
      {
        file: "src/idempotency/guard.ts",
        find: "if (entry !== undefined) return entry.join(call, print);",
        replace: "",
      },
      {
        file: "src/idempotency/memory.ts",
        find: "if (!isSame(open, id)) continue;",
        replace: "if (open) continue;",
      },
    ],
  },
  {
    invariant: 3,
    name: "an outcome in memory is forgotten at once",
    edits: [
      {
        file: "src/idempotency/memory.ts",
        find: "outcome, now + this.#ttlMs);",
        replace: "outcome, now);",
      },
    ],
  },
  {
    invariant: 3,
    name: "each attempt has a key of its own",
    edits: [
      {
        file: "src/rpc/caller-call.ts",
        find: "return this.#plan.idempotencyKey;",
        replace:
          "return this.#plan.idempotencyKey && this.#plan.idempotencyKey + this.#plan.previousAttempts;",
      },
    ],
  },
  {
    invariant: 5,
    name: "more credit is given back than was consumed",
    edits: [
      {
        file: "src/rpc/receiver.ts",
        find: "const bytes = this.#consumed;",
        replace: "const bytes = this.#window;",
      },
    ],
  },
  {
    invariant: 1,
    name: "a packet is dropped when another session wants the encoder",
    edits: [
      {
        file: "src/wire/encode.ts",
        find: "this.#owner?.yieldEncoder();",
        replace: "this.discard();",
      },
    ],
  },
  {
    invariant: 5,
    name: "a full outbox does not stop writers",
    edits: [
      {
        file: "src/session/sending-half.ts",
        find: "&& this.bufferedBytes < this.outbox.limit;",
        replace: ";",
      },
    ],
  },
  {
    invariant: 5,
    name: "calls that have ended stay in the table",
    edits: [
      {
        file: "src/rpc/call-output.ts",
        find: "sender.end();\n      this.#calls.remove(call);",
        replace: "sender.end();",
      },
    ],
  },
];

/** What the simulation said of a mutant. */
export interface Verdict {
  readonly mutant: Mutant;
  /** The seed that failed; `undefined`: none did. */
  readonly seed: number | undefined;
  /** The invariant that it named. */
  readonly invariant: number | undefined;
  readonly message: string;
}

/** Seeds that each mutant is given. */
export const MUTANT_SEEDS = 4_000;

/** Runs the simulation over a copy of the sources with a bug. */
export async function runMutant(mutant: Mutant): Promise<Verdict> {
  const { output } = await runWith(mutant, ["--seeds", String(MUTANT_SEEDS), "--jobs", "1", "--quiet"]);
  const [, seed, message = ""] = /^seed (\d+): (.*)$/m.exec(output) ?? [];
  const invariant = /^invariant (\d) is broken/.exec(message)?.[1];
  return {
    mutant,
    seed: seed === undefined ? undefined : Number(seed),
    invariant: invariant === undefined ? undefined : Number(invariant),
    message: message === "" ? (output.trim().split("\n").at(-1) ?? "") : message,
  };
}

/** What the simulation says, and its exit code, over a copy of the sources with a bug. */
export async function runWith(mutant: Mutant, args: readonly string[]): Promise<Run> {
  mkdirSync(".tmp", { recursive: true });
  const folder = mkdtempSync(join(".tmp", "mutant-"));
  try {
    const script = join(folder, "main.mjs");
    await bundle(mutant, script);
    return await run([script, ...args]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @throws Error when a place that the mutant changes is not there, or is there twice. */
async function bundle({ edits, name }: Mutant, script: string): Promise<void> {
  const left = new Set(edits);
  await build({
    entryPoints: ["test/simulation/main.ts"],
    outfile: script,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "es2023",
    packages: "external",
    logLevel: "error",
    plugins: [
      {
        name: "mutant",
        setup(setup) {
          setup.onLoad({ filter: /\.ts$/ }, ({ path }) => {
            const here = edits.filter(({ file }) => path === resolve(file));
            if (here.length === 0) return undefined;
            let contents = readFileSync(path, "utf8");
            for (const edit of here) {
              const parts = contents.split(edit.find);
              if (parts.length !== 2) fail(`"${name}": ${edit.file} has its place ${parts.length - 1} times`);
              contents = parts.join(edit.replace);
              left.delete(edit);
            }
            return { contents, loader: "ts" };
          });
        },
      },
    ],
  });
  for (const { file } of left) fail(`"${name}": the simulation does not use ${file}`);
}

function fail(message: string): never {
  throw new Error(message);
}

/** What a process has printed, and its exit code. */
export interface Run {
  readonly output: string;
  readonly code: number | null;
}

/** Runs Node with these arguments. */
export function run(args: readonly string[]): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (data) => {
      output += String(data);
    });
    child.stderr.on("data", (data) => {
      output += String(data);
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ output, code }));
  });
}

/** Runs all mutants and says what came of each. Whether all were found. */
export async function showMutants(out: (line: string) => void): Promise<boolean> {
  let all = true;
  for (const mutant of MUTANTS) {
    const { seed, message } = await runMutant(mutant);
    const found = seed !== undefined;
    all &&= found;
    out(`${found ? "found " : "MISSED"}  invariant ${mutant.invariant}: ${mutant.name}`);
    out(`        ${found ? `seed ${seed}: ${message}` : message}`);
  }
  return all;
}
