import { describe, expect, test } from "vitest";
import { ArgumentError, HELP, readArguments } from "../../src/demo/arguments.js";

describe("arguments of npm start", () => {
  test("have defaults, and a seed of their own", () => {
    const first = readArguments([]);
    const second = readArguments([]);
    expect(first).toMatchObject({ once: false, port: 4280, cuts: 5 });
    expect(first).not.toEqual(second);
  });

  test("with --once take any free port", () => {
    expect(readArguments(["--once"])).toMatchObject({ once: true, port: 0 });
    expect(readArguments(["--once", "--port", "99"])).toMatchObject({ once: true, port: 99 });
  });

  test("are taken as given", () => {
    expect(readArguments(["--seed=7", "--cuts", "0", "--port", "0"])).toEqual({
      once: false,
      port: 0,
      seed: 7,
      cuts: 0,
    });
    expect(readArguments(["--help", "--seed", "x"])).toBe("help");
    for (const name of ["--once", "--port", "--seed", "--cuts"]) expect(HELP).toContain(name);
  });

  test.each([
    [["--ones"]],
    [["extra"]],
    [["--port", "65536"]],
    [["--seed", "-1"]],
    [["--cuts", "1.5"]],
    [["--port"]],
  ])("%j is refused with the reason", (argv) => {
    expect(() => readArguments(argv)).toThrow(ArgumentError);
    expect(() => readArguments(argv)).toThrow(/\w/);
  });
});
