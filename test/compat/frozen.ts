// The releases that are frozen in test/compat/releases.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as present from "./release.js";

/** What is frozen of a release, in the form of today. */
export type Release = typeof present;

/** Where the releases are. */
export const FOLDER: string = join(import.meta.dirname, "releases");

/** Each release, by its version. */
export const releases: readonly (readonly [string, Release])[] = await Promise.all(
  readdirSync(FOLDER).map(async (version) => {
    const module: unknown = await import(pathToFileURL(join(FOLDER, version, "hawser.mjs")).href);
    return [version, module as Release] as const;
  }),
);

/** Each release beside the present code: whose client it is, and whose server. */
export const pairs: readonly (readonly [string, Release, Release])[] = releases.flatMap(
  ([version, release]): [string, Release, Release][] => [
    [`the client of ${version} at the present server`, release, present],
    [`the present client at the server of ${version}`, present, release],
  ],
);

/** The present code by itself: what is asked of releases must hold here first. */
export const itself: readonly [string, Release, Release] = [
  "the present client at the present server",
  present,
  present,
];

/** Whether a release has this way of carrying links. */
export function goesBy(release: Release, way: Release["ways"][number]): boolean {
  // What was frozen before there was any other way does not tell.
  const { ways = ["websocket"] } = release as Partial<Release>;
  return ways.includes(way);
}
