import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { addresses } from "../../.ci/release/addresses.js";
import { hasNews, isReleased, withRelease } from "../../.ci/release/changelog.js";
import { problemsBefore, problemsOf, type ReleaseState, warningsOf } from "../../.ci/release/problems.js";

const run = promisify(execFile);

const changelog = `# Changelog

## Unreleased

### Added

- Sails.

## 1.1.0 - 2026-10-01

### Fixed

- A leak.
`;

describe("the changelog", () => {
  it("gets a version and a date, and room for what comes next", () => {
    expect(hasNews(changelog)).toBe(true);
    const next = withRelease(changelog, "1.2.0", "2026-11-21");
    expect(next).toMatch(/## Unreleased\n+## 1\.2\.0 - 2026-11-21\n+### Added\n+- Sails\.\n+## 1\.1\.0/);
    expect(hasNews(next)).toBe(false);
    expect([isReleased(next, "1.2.0"), isReleased(next, "1.1.0"), isReleased(next, "1.3.0")]).toEqual([
      true,
      true,
      false,
    ]);
    expect(() => withRelease(next, "1.3.0", "2026-11-22")).toThrow("nothing to release");
    expect(() => withRelease(changelog, "1.1.0", "2026-11-22")).toThrow("1.1.0 is in the changelog already");
  });

  it("of this repository can be read, and has something to say", () => {
    const text = readFileSync("CHANGELOG.md", "utf8");
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    expect(hasNews(text) || isReleased(text, version)).toBe(true);
  });
});

const ready: ReleaseState = {
  version: "1.2.0",
  changelog: withRelease(changelog, "1.2.0", "2026-11-21"),
  changes: "",
  tags: ["v1.2.0"],
  frozen: ["1.1.0", "1.2.0"],
  baseline: { version: "1.2.0", commit: "0123456789" },
  agent: "hawser-js/1.2",
  addresses: [{ file: "docs/browser.md", version: "1.2.0" }],
  repository: "git+https://github.com/someone/hawser.git",
  publisher: "someone/hawser",
};

describe("a release", () => {
  it("is ready when nothing is missing", () => {
    expect(problemsOf(ready)).toEqual([]);
    expect(problemsOf({ ...ready, publisher: undefined, repository: "" })).toEqual([]);
  });

  it.each([
    [{ version: "1.2" }, "not a version"],
    [{ changes: " M README.md" }, "not committed"],
    [{ tags: ["v1.1.0"] }, "no tag v1.2.0"],
    [{ changelog }, "no section with a date"],
    [{ frozen: ["1.1.0"] }, "test/compat/releases/1.2.0 is missing"],
    [{ baseline: { version: "1.1.0", commit: "0123456789" } }, "figures are those of 1.1.0"],
    [{ baseline: { version: "1.2.0", commit: "0123456789-dirty" } }, "at 0123456789-dirty"],
    [{ agent: "hawser-js/1.1" }, "calls itself hawser-js/1.1"],
    [{ addresses: [{ file: "a.html", version: "1.1.0" }] }, "another version than 1.2.0: 1.1.0 in a.html"],
    [{ repository: "" }, "provenance needs it to be that of someone/hawser"],
    [{ repository: "git+https://github.com/someone/other.git" }, "provenance needs"],
  ])("is not ready with %j", (change, problem) => {
    const problems = problemsOf({ ...ready, ...change });
    expect(problems.join("\n")).toContain(problem);
  });

  it("without a repository is warned of, with what to add", () => {
    expect(warningsOf(ready)).toEqual([]);
    expect(warningsOf({ repository: "" }).join()).toContain('Add\n  "repository": {');
  });

  it("does not begin without news", () => {
    expect(problemsBefore({ changelog })).toEqual([]);
    expect(problemsBefore(ready)).toHaveLength(1);
  });

  it("is begun by npm version: changelog, frozen code, figures, commit and tag", async () => {
    const folder = mkdtempSync(join(tmpdir(), "hawser-release-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const inFolder = { cwd: folder };
    // The figures are a matter of their own, and take long.
    const needed = [
      ".ci",
      ".gitignore",
      "package.json",
      "CHANGELOG.md",
      "src",
      "gen",
      "tsconfig.json",
      "test/compat",
      "test/vectors",
      "docs/browser.md",
      "examples/browser",
    ];
    for (const path of needed)
      cpSync(path, join(folder, path), { recursive: true, filter: (path) => !path.includes("node_modules") });
    await run("ln", ["-s", join(process.cwd(), "node_modules"), "node_modules"], inFolder);
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    manifest.scripts.guard = "node guard.mjs";
    writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
    // As the real one does, it says whether the sources that it would measure are those of a commit.
    const guard = `import { execFileSync } from "node:child_process";
      import { writeFileSync } from "node:fs";
      const args = ["status", "--porcelain", "--", "src", "gen", ":!src/bench/guard/baseline.json"];
      const commit = execFileSync("git", args).length > 0 ? "1-dirty" : "1";
      writeFileSync("src/bench/guard/baseline.json", JSON.stringify({ version: "9.9.0", commit }));`;
    writeFileSync(join(folder, "guard.mjs"), guard);
    const who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
    await run("git", ["init", "-q"], inFolder);
    await run("git", ["add", "-A"], inFolder);
    await run("git", [...who, "commit", "-q", "-m", "as it is"], inFolder);
    const env: NodeJS.ProcessEnv = {
      ...process.env,
      GIT_AUTHOR_NAME: "Ada",
      GIT_AUTHOR_EMAIL: "ada@example.com",
    };
    Object.assign(env, { GIT_COMMITTER_NAME: "Ada", GIT_COMMITTER_EMAIL: "ada@example.com" });
    await run("npm", ["version", "9.9.0"], { cwd: folder, env });
    env["GITHUB_REPOSITORY"] = "";
    const check = await run("npm", ["run", "-s", "release:check"], { cwd: folder, env });
    expect(check.stdout).toBe("ready\n");
    expect(check.stderr).toContain("repository" in manifest ? "" : 'package.json has no "repository"');
    const { stdout } = await run("git", ["show", "--stat=200", "--format=%s", "v9.9.0"], inFolder);
    for (const text of [
      "9.9.0",
      "CHANGELOG.md",
      "test/compat/releases/9.9.0/hawser.mjs",
      "baseline.json",
      "src/client/client-peer.ts",
      "docs/browser.md",
      "module.html",
      "descriptors.html",
    ])
      expect(stdout).toContain(text);
  });
});

describe("where users are told to load the package from", () => {
  it("is the version of package.json", () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    const found = addresses();
    expect(found.filter((address) => address.version !== version)).toEqual([]);
    expect(found.map(({ file }) => file)).toEqual(
      expect.arrayContaining([
        "docs/browser.md",
        "examples/browser/module.html",
        "examples/browser/descriptors.html",
      ]),
    );
  });
});

describe("the workflow that publishes", () => {
  const workflow = readFileSync(".github/workflows/release.yml", "utf8");

  it("runs when a version is tagged, checks first, and publishes with provenance", () => {
    expect(workflow).toMatch(/on:\n {2}push:\n {4}tags: \["v\*"\]/);
    expect(workflow).toContain("id-token: write");
    const commands = [...workflow.matchAll(/- run: (.*)/g)].map(([, command]) => command);
    const publish = commands.findIndex((command) => command?.startsWith("npm publish --provenance"));
    const tests = commands.findIndex((command) => command?.endsWith(".ci/run"));
    // What takes seconds stops a wrong tag before what takes a quarter of an hour.
    expect(commands.slice(0, 2)).toEqual(["npm ci", "npm run release:check"]);
    expect(tests).toBe(2);
    expect(tests).toBeLessThan(publish);
    expect(publish).toBe(commands.length - 1);
    const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as {
      scripts: Record<string, string>;
    };
    expect(scripts["release:check"]).toContain(".ci/release/check.ts");
  });
});
