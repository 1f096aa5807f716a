// Follows a page block by block, as a reader would: writes its files, runs its commands, starts and stops its programs, and
// compares what is printed with what the page says.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Block } from "./pages.js";

const run = promisify(execFile);

/** What a page's reader has in front of them. */
export interface Follower {
  /** Follows blocks that belong together, in their order. */
  follow(blocks: readonly Block[]): Promise<void>;
  /** Ends a program at once: SIGKILL. */
  kill(name: string): Promise<void>;
  /** Ends all that runs. */
  close(): Promise<void>;
}

interface Program {
  readonly child: ChildProcess;
  output: string;
}

/** Debian leaves these out of the PATH of everybody but root. */
const PATH = [process.env["PATH"], "/usr/sbin", "/usr/local/sbin"].join(delimiter);

/**
 * @param folder Where the reader is.
 * @param changed What texts of the page become here: ports that are free, the package that was just built.
 */
export function createFollower(folder: string, changed: (text: string) => string): Follower {
  const programs = new Map<string, Program>();
  const env = { ...process.env, PATH, NODE_ENV: "development" };

  const end = async (name: string, signal: NodeJS.Signals) => {
    const program = programs.get(name);
    if (program === undefined) throw new Error(`nothing runs that is called ${name}`);
    programs.delete(name);
    const { child } = program;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    // npx starts a process of its own; the group is what has to go.
    process.kill(-(child.pid ?? 0), signal);
    await ended;
  };

  const start = async (name: string, command: string, expected: readonly string[]) => {
    if (programs.has(name)) await end(name, "SIGTERM");
    const child = spawn("bash", ["-c", command], { cwd: folder, env, detached: true });
    const program: Program = { child, output: "" };
    programs.set(name, program);
    await new Promise<void>((resolve, reject) => {
      const onData = (data: Buffer) => {
        program.output += String(data);
        if (missing(expected, program.output).length === 0) resolve();
      };
      child.stdout.on("data", onData);
      child.stderr.on("data", onData);
      child.once("spawn", () => expected.length === 0 && resolve());
      child.once("exit", (code) => reject(new Error(`${command} ended with ${code}: ${program.output}`)));
    });
  };

  return {
    async follow(blocks) {
      for (const [index, block] of blocks.entries()) {
        const { language, label } = block;
        const text = changed(block.text);
        const next = blocks[index + 1];
        const expected = next?.language === "text" ? changed(next.text).trim().split("\n") : [];
        const [verb = "", name = ""] = label.split(" ");
        if (language === "text") continue;
        if (language !== "sh") {
          if (!/^[\w./-]+\.\w+$/.test(label)) throw new Error(`${block.page}:${block.line} names no file`);
          mkdirSync(dirname(join(folder, label)), { recursive: true });
          writeFileSync(join(folder, label), text);
        } else if (label === "") {
          const { stdout } = await run("bash", ["-euo", "pipefail", "-c", text], { cwd: folder, env });
          const lacking = missing(expected, stdout);
          if (lacking.length > 0) throw new Error(`${text} printed ${stdout}, and not ${lacking.join(", ")}`);
        } else if (verb === "start") await start(name, text.trim(), expected);
        else if (verb === "stop") await end(name, "SIGTERM");
        else throw new Error(`${block.page}:${block.line} says "${label}", which means nothing`);
      }
    },
    kill: (name) => end(name, "SIGKILL"),
    async close() {
      await Promise.all([...programs.keys()].map((name) => end(name, "SIGKILL")));
    },
  };
}

const missing = (lines: readonly string[], output: string): string[] =>
  lines.filter((line) => !output.includes(line.trim()));
