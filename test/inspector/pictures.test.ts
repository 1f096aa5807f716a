import { existsSync, globSync } from "node:fs";
import { expect, it } from "vitest";
import { hashOfPictures, hashOfSources } from "./pictures.js";
import { VIEWS } from "./screenshots.js";

it("the pictures in docs/images are those of the present page", () => {
  expect(hashOfPictures(), "the inspector's page has changed: run `npm run screenshots`").toBe(
    hashOfSources(),
  );
  const files = Object.keys(VIEWS).flatMap((view) =>
    ["light", "dark"].map((scheme) => `docs/images/inspector-${view}-${scheme}.png`),
  );
  expect(files.filter((file) => !existsSync(file))).toEqual([]);
  // What nobody takes any more shows a page that is gone.
  expect(globSync("docs/images/inspector-*.png").sort()).toEqual(files.sort());
});
