import { parser, Release } from "keep-a-changelog";

/** What nobody has released yet, at the top of a changelog; `undefined` when nothing is written there. */
function unreleased(
  text: string,
): { readonly changelog: ReturnType<typeof parser>; readonly release: Release } | undefined {
  const changelog = parser(text);
  const release = changelog.releases.find(({ version }) => version === undefined);
  return release === undefined || release.isEmpty() ? undefined : { changelog, release };
}

/** Whether there is anything to release. @throws Error when it is no changelog as keepachangelog.com has it. */
export function hasNews(text: string): boolean {
  return unreleased(text) !== undefined;
}

/** Whether this version has a section with a date and a text. @throws Error when it is no changelog. */
export function isReleased(text: string, version: string): boolean {
  const release = parser(text).releases.find((release) => release.version === version);
  return release?.date !== undefined && !release.isEmpty();
}

/**
 * A changelog in which what was not released is now this version, and nothing is left to release.
 *
 * @param date As in `2026-11-21`.
 * @throws Error when there is nothing to release, or this version is there already.
 */
export function withRelease(text: string, version: string, date: string): string {
  if (isReleased(text, version)) throw new Error(`${version} is in the changelog already`);
  const found = unreleased(text);
  if (found === undefined) throw new Error("nothing to release: the changelog has no text under Unreleased");
  const { changelog, release } = found;
  release.setVersion(version);
  release.setDate(date);
  changelog.addRelease(new Release());
  return `${changelog.toString().trimEnd()}\n`;
}
