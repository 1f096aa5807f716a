// examples/cluster, run for real: NATS, three nodes that are processes, and nginx in front of them.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const EXAMPLE = join(ROOT, "examples/cluster");

/** `main.ts`, as its README runs it. */
class Run {
  readonly process: ChildProcessByStdio<null, Readable, Readable>;
  /** All that it keeps is in here. */
  readonly folder: string = mkdtempSync(join(tmpdir(), "hawser-cluster-test-"));
  said = "";
  complaints = "";

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.process = spawn(process.execPath, ["--import", "tsx", "examples/cluster/main.ts", ...args], {
      cwd: ROOT,
      env: { ...process.env, TMPDIR: this.folder, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.process.stdout.on("data", (chunk: Buffer) => {
      this.said += chunk.toString();
    });
    this.process.stderr.on("data", (chunk: Buffer) => {
      this.complaints += chunk.toString();
    });
    onTestFinished(async () => {
      this.process.kill("SIGKILL");
      await this.untilClean();
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  async exitCode(): Promise<number | null> {
    const [code] = (await once(this.process, "close")) as [number | null];
    return code;
  }

  /** Waits until it has printed this. */
  async says(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.said)) {
      if (this.process.exitCode !== null) throw new Error(`it has ended:\n${this.said}${this.complaints}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Processes that it has named and that are there. */
  get alive(): string[] {
    const named = [...this.said.matchAll(/^(?:.* s {2})?(\w+) .*pid (\d+)$/gm)];
    return named.filter(([, , pid]) => isAlive(Number(pid))).map(([, name = ""]) => name);
  }

  /** What it has left in the folder; `tsx` keeps its own things there. */
  get left(): string[] {
    return readdirSync(this.folder).filter((name) => name.startsWith("hawser-"));
  }

  async untilClean(): Promise<void> {
    while (this.alive.length + this.left.length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("the cluster on one machine", () => {
  it("loses and doubles nothing when links are cut, a node is killed and another one drains", async () => {
    const run = new Run(["--once"]);
    const code = await run.exitCode();
    const output = run.said + run.complaints;
    expect(code, output).toBe(0);
    expect(run.complaints).toBe("");
    for (const name of ["nats", "node1", "node2", "node3", "nginx"]) {
      expect(output).toMatch(new RegExp(`^${name} +\\S+:\\d+ +pid \\d+$`, "m"));
    }
    expect(output).toMatch(/link on (node\d), session on (?!\1)node\d/);
    expect(output.match(/node\d is back/g)).toHaveLength(2);
    const [, acknowledged] =
      /^HELD: (\d+) publications acknowledged in 5 runs of 3 nodes, 0 missing, 0 faults in their order, 0 gaps told, /m.exec(
        output,
      ) ?? [];
    expect(Number(acknowledged), output).toBeGreaterThan(300);
    expect([run.alive, run.left]).toEqual([[], []]);
  }, 120_000);

  it("ends at Ctrl-C with all that it has started", async () => {
    const run = new Run([]);
    await run.says(/\d+ messages/);
    expect(run.alive).toEqual(["nats", "node1", "node2", "node3", "nginx"]);
    run.process.kill("SIGINT");
    expect(await run.exitCode(), run.said + run.complaints).toBe(0);
    expect(run.said).toMatch(/^HELD: /m);
    expect([run.alive, run.left]).toEqual([[], []]);
  });

  it("leaves nothing behind when it is killed itself", async () => {
    const run = new Run([]);
    await run.says(/\d+ messages/);
    run.process.kill("SIGKILL");
    await run.exitCode();
    await run.untilClean();
  });

  it.each([
    [
      "a program that is missing",
      [],
      { NATS_SERVER_BIN: "/nowhere" },
      1,
      /^NATS_SERVER_BIN is \/nowhere, .*\n$/,
    ],
    ["an argument that makes no sense", ["--kill", "often"], {}, 2, /^--kill takes a number of seconds/],
  ])("says so, and starts nothing: %s", async (_, args, env, code, message) => {
    const run = new Run(args, env);
    expect(await run.exitCode()).toBe(code);
    expect(run.complaints).toMatch(message);
    expect(run.said).toBe("");
    expect(run.left).toEqual([]);
  });
});

// ---- in containers -----------------------------------------------------------------------------------------------

type Yaml = string | Yaml[] | { [key: string]: Yaml };

interface Line {
  readonly indent: number;
  readonly text: string;
  readonly number: number;
}

/**
 * The part of YAML that compose.yaml keeps to: mappings and lists in blocks, lists of JSON in one line, `{}`, anchors of
 * mappings and `<<`. There is no package for it here.
 *
 * @throws Error for everything else.
 */
function readYaml(text: string): Yaml {
  const lines: Line[] = text
    .split("\n")
    .map((line, index) => ({ indent: line.search(/\S/), text: line.trim(), number: index + 1 }))
    .filter(({ text: words }) => words !== "" && !words.startsWith("#"));
  const anchors = new Map<string, Yaml>();
  let at = 0;

  const wrong = (line: Line) => new Error(`line ${line.number} is not understood: ${line.text}`);

  const scalar = (line: Line, words: string): Yaml => {
    if (words === "{}") return {};
    if (words.startsWith("[") || words.startsWith('"')) return JSON.parse(words) as Yaml;
    if (/^[&*!|>{}[\]%@`'"#,?-]|: |\t| #/.test(words)) throw wrong(line);
    return words;
  };

  const block = (indent: number): Yaml => {
    const isList = lines[at]?.text.startsWith("- ");
    const list: Yaml[] = [];
    const mapping: { [key: string]: Yaml } = {};
    let base: { [key: string]: Yaml } = {};
    for (let line = lines[at]; line !== undefined && line.indent >= indent; line = lines[at]) {
      if (line.indent !== indent || line.text.startsWith("- ") !== isList) throw wrong(line);
      at++;
      if (isList) {
        const item = line.text.slice(2);
        const [, key, value = ""] = /^([\w-]+): (.+)$/.exec(item) ?? [];
        list.push(key === undefined ? scalar(line, item) : { [key]: scalar(line, value) });
        continue;
      }
      const [, key = "", rest = ""] = /^([\w-]+|<<):(?: (.+))?$/.exec(line.text) ?? [];
      if (key === "" || Object.hasOwn(mapping, key)) throw wrong(line);
      if (key === "<<") {
        const merged = anchors.get(rest.slice(1));
        if (!rest.startsWith("*") || merged === undefined) throw wrong(line);
        base = merged as { [key: string]: Yaml };
        continue;
      }
      const anchor = rest.startsWith("&") ? rest.slice(1) : undefined;
      const below = lines[at];
      const value =
        rest !== "" && anchor === undefined
          ? scalar(line, rest)
          : below !== undefined && below.indent > indent
            ? block(below.indent)
            : undefined;
      if (value === undefined) throw wrong(line);
      if (anchor !== undefined) anchors.set(anchor, value);
      mapping[key] = value;
    }
    // What stands beside `<<` goes first.
    return isList ? list : { ...base, ...mapping };
  };

  const read = block(0);
  const line = lines[at];
  if (line !== undefined) throw wrong(line);
  return read;
}

interface Service {
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly command?: readonly string[];
  readonly volumes?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly networks?: { readonly default: { readonly ipv4_address: string } };
  readonly depends_on?: readonly string[];
}

describe("compose.yaml", () => {
  const compose = readYaml(readFileSync(join(EXAMPLE, "compose.yaml"), "utf8")) as unknown as {
    readonly services: Readonly<Record<string, Service>>;
    readonly volumes: Readonly<Record<string, unknown>>;
  };
  const { services } = compose;
  const dockerfile = readFileSync(join(EXAMPLE, "Dockerfile"), "utf8");

  it("names services that are there, and one image for all that is built here", () => {
    expect(Object.keys(services)).toEqual(["nats", "node1", "node2", "node3", "nginx", "watch"]);
    for (const { depends_on = [] } of Object.values(services)) {
      for (const name of depends_on) expect(services).toHaveProperty(name);
    }
    const built = Object.values(services).filter(({ build }) => build !== undefined);
    expect(built).toHaveLength(4);
    expect(new Set(built.map(({ image, build }) => JSON.stringify([image, build]))).size).toBe(1);
  });

  it("names files that are there", () => {
    for (const { build, volumes = [], command = [] } of Object.values(services)) {
      if (build !== undefined) {
        const context = join(EXAMPLE, build.context);
        expect(join(context, "/")).toBe(ROOT);
        expect(join(context, build.dockerfile)).toBe(join(EXAMPLE, "Dockerfile"));
      }
      for (const [from = ""] of volumes.map((volume) => volume.split(":"))) {
        if (from.startsWith(".")) expect(existsSync(join(EXAMPLE, from)), from).toBe(true);
        else expect(compose.volumes).toHaveProperty(from);
      }
      for (const script of command.filter((word) => word.endsWith(".ts"))) {
        expect(existsSync(join(ROOT, script)), script).toBe(true);
      }
      const inside = volumes.map((volume) => volume.split(":")[1]);
      for (const path of command.filter((word) => word.startsWith("/"))) expect(inside).toContain(path);
    }
    const copied = [...dockerfile.matchAll(/^COPY (.+) \S+$/gm)].flatMap(([, from = ""]) => from.split(" "));
    expect(copied.length).toBeGreaterThan(3);
    for (const from of copied) expect(existsSync(join(ROOT, from)), from).toBe(true);
    const [, run = "[]"] = /^CMD (.+)$/m.exec(dockerfile) ?? [];
    const script = (JSON.parse(run) as string[]).at(-1) ?? "";
    expect(copied.some((from) => script.startsWith(`${from}/`) && existsSync(join(ROOT, script)))).toBe(true);
  });

  it("gives nginx all that its template wants, and the addresses of the nodes", () => {
    const template = readFileSync(join(EXAMPLE, "nginx.conf.template"), "utf8");
    const wanted = new Set([...template.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name));
    const given = services["nginx"]?.environment ?? {};
    expect(new Set(Object.keys(given))).toEqual(wanted);
    for (const number of [1, 2, 3]) {
      const node = services[`node${number}`];
      expect(given[`NODE${number}`]).toBe(`${node?.networks?.default.ipv4_address}:8080`);
      expect(node?.environment).toEqual({ NODE_NAME: `node${number}`, NATS_URL: "nats://nats:4222" });
    }
  });
});
