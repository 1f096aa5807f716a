// Which sources the pictures of docs/images were taken of.
import { createHash } from "node:crypto";
import { globSync, readFileSync, writeFileSync } from "node:fs";

/** What a picture shows: the page, what it says numbers with, and who is at the server. */
const SOURCES = [
  "src/inspector/page/*",
  "src/inspector/format.ts",
  "test/inspector/screenshots.ts",
  "test/inspector/world.ts",
];

const FILE = "docs/images/inspector.sha256";

/** A hash over the names and contents of the sources. */
export function hashOfSources(): string {
  const hash = createHash("sha256");
  for (const path of globSync(SOURCES).sort())
    hash.update(`${path.replaceAll("\\", "/")}\n${readFileSync(path, "utf8").replaceAll("\r\n", "\n")}\n`);
  return hash.digest("hex");
}

/** The hash of the sources of which the pictures were taken. */
export function hashOfPictures(): string {
  return readFileSync(FILE, "utf8").trim();
}

/** Says that the pictures are those of the present sources. */
export function pinPictures(): void {
  writeFileSync(FILE, `${hashOfSources()}\n`);
}
