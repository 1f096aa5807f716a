import type { Address } from "./addresses.js";
import { hasNews, isReleased } from "./changelog.js";

/** What a release is made of, as it lies here. */
export interface ReleaseState {
  /** Of package.json. */
  readonly version: string;
  /** Text of CHANGELOG.md. */
  readonly changelog: string;
  /** `git status --porcelain`. */
  readonly changes: string;
  /** Tags of the commit that is checked out. */
  readonly tags: readonly string[];
  /** Versions that test/compat holds later ones to. */
  readonly frozen: readonly string[];
  /** Version and commit of the guard's figures. */
  readonly baseline: { readonly version: string; readonly commit: string };
  /** What the client calls itself on the wire, as in `hawser-js/1.2`. */
  readonly agent: string;
  /** Where users are told to load the package from. */
  readonly addresses: readonly Address[];
  /** `repository.url` of package.json; empty where it has none. */
  readonly repository: string;
  /** `owner/name` of the repository that publishes; `undefined` on a machine of ours. */
  readonly publisher: string | undefined;
}

/** What stands in the way of beginning a release with `npm version`; npm itself looks for uncommitted changes. */
export function problemsBefore({ changelog }: Pick<ReleaseState, "changelog">): string[] {
  return hasNews(changelog)
    ? []
    : ["CHANGELOG.md has nothing under Unreleased: write what users should know"];
}

/** What does not stand in the way of publishing, and should be known. */
export function warningsOf({ repository }: Pick<ReleaseState, "repository">): string[] {
  if (repository !== "") return [];
  return [
    `package.json has no "repository": \`npm publish --provenance\` refuses a package without it. Add
  "repository": { "type": "git", "url": "git+https://github.com/OWNER/hawser.git" }
with the repository that .github/workflows/release.yml runs in.`,
  ];
}

/** What stands in the way of publishing what is checked out. */
export function problemsOf(state: ReleaseState): string[] {
  const { version, changelog, changes, tags, frozen, baseline, agent, addresses, repository, publisher } =
    state;
  const [major, minor] = version.split(".");
  const elsewhere = addresses.filter((address) => address.version !== version);
  const problems: readonly (readonly [boolean, string])[] = [
    [/^\d+\.\d+\.\d+$/.test(version), `${version} is not a version as in 1.2.3`],
    [changes === "", `there are changes that are not committed:\n${changes}`],
    [tags.includes(`v${version}`), `the commit has no tag v${version}: release with \`npm version\``],
    [isReleased(changelog, version), `CHANGELOG.md has no section with a date for ${version}`],
    [frozen.includes(version), `test/compat/releases/${version} is missing: release with \`npm version\``],
    [
      baseline.version === version && !baseline.commit.endsWith("-dirty"),
      `the regression guard's figures are those of ${baseline.version} at ${baseline.commit}`,
    ],
    [
      agent === `hawser-js/${major}.${minor}`,
      `the client calls itself ${agent}: it should be hawser-js/${major}.${minor}`,
    ],
    [
      elsewhere.length === 0,
      `addresses of the package name another version than ${version}: ${elsewhere.map((it) => `${it.version} in ${it.file}`).join(", ")}`,
    ],
    [
      publisher === undefined || new RegExp(`github\\.com[/:]${publisher}(\\.git)?$`).test(repository),
      `package.json's repository is "${repository}", and provenance needs it to be that of ${publisher}`,
    ],
  ];
  return problems.filter(([holds]) => !holds).map(([, problem]) => problem);
}
