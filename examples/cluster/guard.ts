// Nothing outlives this process, however it ends.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Writable } from "node:stream";

/** Each line lists the groups that run at the moment. There are no more lines when this process is gone, even by `kill -9`. */
const SCRIPT = `
while read -r line; do groups=$line; done
for group in $groups; do kill -9 "-$group" 2>/dev/null; done
rm -rf -- "$1"
`;

/** A folder, and groups of processes, which are gone with this process. */
export class Guard {
  readonly folder: string = mkdtempSync(join(tmpdir(), "hawser-cluster-"));
  readonly #groups = new Set<number>();
  readonly #shell: ChildProcessByStdio<Writable, null, null>;

  constructor() {
    this.#shell = spawn("sh", ["-c", SCRIPT, "sh", this.folder], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
  }

  add(group: number): void {
    this.#groups.add(group);
    this.#tell();
  }

  delete(group: number): void {
    this.#groups.delete(group);
    this.#tell();
  }

  /** Ends what still runs, and removes the folder. */
  async close(): Promise<void> {
    const ended = once(this.#shell, "close");
    this.#shell.stdin.end();
    await ended;
  }

  #tell(): void {
    this.#shell.stdin.write(`${[...this.#groups].join(" ")}\n`);
  }
}
