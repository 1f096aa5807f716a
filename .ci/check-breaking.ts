// Fails when proto/ breaks what was published before. What that is: the newest release tag, and the state from
// which this work began (see `branchPoint`). Uncommitted changes are part of what is checked.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Baseline {
  readonly commit: string;
  readonly name: string;
}

function git(...args: string[]): string | undefined {
  const { status, stdout } = spawnSync("git", args, { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

const commitOf = (revision: string): string | undefined =>
  git("rev-parse", "--verify", "--quiet", `${revision}^{commit}`);

const holdsProto = (commit: string): boolean => (git("ls-tree", "-r", commit, "--", "proto") ?? "") !== "";

function release(): Baseline | undefined {
  const tag = git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*");
  const commit = tag === undefined ? undefined : commitOf(tag);
  return tag === undefined || commit === undefined ? undefined : { commit, name: `the release ${tag}` };
}

/**
 * Where this work left the main branch. When it has not left it (HEAD is published already), the last commit that
 * is surely older than the change under check: HEAD when proto/ has uncommitted changes, else the commit before it.
 */
function branchPoint(): Baseline | undefined {
  const head = commitOf("HEAD");
  for (const branch of ["origin/main", "main"]) {
    if (head === undefined || commitOf(branch) === undefined) continue;
    const fork = git("merge-base", "HEAD", branch);
    if (fork === undefined) continue;
    if (fork !== head) return { commit: fork, name: `the newest commit shared with ${branch}` };
    if (git("status", "--porcelain", "--", "proto") !== "") return { commit: head, name: "HEAD" };
    break;
  }
  const before = commitOf("HEAD~1");
  return before === undefined ? undefined : { commit: before, name: "HEAD~1" };
}

function check({ commit, name }: Baseline): boolean {
  console.log(`comparing proto/ with ${name} (${commit.slice(0, 10)})`);
  const scratch = mkdtempSync(join(tmpdir(), "hawser-breaking-"));
  try {
    const archive = execFileSync("git", ["archive", "--format=tar", commit, "proto"]);
    execFileSync("tar", ["-x", "-C", scratch], { input: archive });
    return (
      spawnSync("buf", ["breaking", "proto", "--against", join(scratch, "proto")], { stdio: "inherit" })
        .status === 0
    );
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const earlier = [release(), branchPoint()]
  .filter((baseline) => baseline !== undefined)
  .filter(({ commit }) => holdsProto(commit))
  .filter(({ commit }, index, all) => all.findIndex((other) => other.commit === commit) === index);

if (earlier.length === 0) console.log("no earlier state with proto/ to compare with: nothing can break");
else if (earlier.map(check).includes(false)) process.exitCode = 1;
else console.log("no breaking change");
