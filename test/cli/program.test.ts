// Help, and the small parts that commands are made of.
import { describe, expect, test } from "vitest";
import { splitJson } from "../../src/cli/input.js";
import { targetUrl } from "../../src/cli/target.js";
import { durationMs } from "../../src/cli/values.js";
import { seededRandom } from "../../src/testing/index.js";
import { hawser } from "./hawser.js";

const COMMANDS = ["call", "list", "describe", "subscribe", "watch", "bench", "tune", "demo"];

describe("help", () => {
  test("names every command", async () => {
    const { code, stdout, stderr } = await hawser("--help");
    expect([code, stderr]).toEqual([0, ""]);
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command} +[A-Z].*\\.$`, "m"));
  });

  test("is what comes without any arguments", async () => {
    expect(await hawser()).toEqual(await hawser("--help"));
  });

  test.each(COMMANDS)("of %s explains every option, shows examples, and fits a terminal", async (command) => {
    const { code, stdout, stderr } = await hawser(command, "--help");
    expect([code, stderr]).toEqual([0, ""]);
    expect((await hawser("help", command)).stdout).toBe(stdout);
    expect(stdout).toContain(`Usage: hawser ${command} `);
    expect(stdout).toContain(`\n  hawser ${command}`);
    const options = stdout.split("\n").filter((line) => /^ {2}-/.test(line));
    expect(options.length).toBeGreaterThan(3);
    for (const line of options) expect(line).toMatch(/^ {2}-\S.* {2,}\S/);
    const [text = ""] = stdout.split("\nExamples:");
    for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(110);
  });
});

describe("URLs", () => {
  test.each([
    ["localhost:8080", "ws://localhost:8080/rpc"],
    ["localhost:8080/", "ws://localhost:8080/"],
    ["ws://a.example/x?y=1", "ws://a.example/x?y=1"],
    ["https://a.example", "wss://a.example/rpc"],
    ["wss://a.example?x=/", "wss://a.example/rpc?x=/"],
    ["[::1]:8080", "ws://[::1]:8080/rpc"],
  ])("%s is %s", (given, expected) => {
    expect(targetUrl(given)).toBe(expected);
  });

  test.each(["", "ftp://x", "http://["])("%j is none", (given) => {
    expect(() => targetUrl(given)).toThrow(
      `"${given}" is no URL of a server, such as ws://localhost:8080/rpc`,
    );
  });
});

test.each([
  ["500ms", 500],
  ["1.5s", 1_500],
  ["2m", 120_000],
  ["1h", 3_600_000],
  ["10", undefined],
  ["-1s", undefined],
  ["1d", undefined],
])("%s is a length of time", (text, expected) => {
  expect(durationMs(text)).toBe(expected);
});

describe("JSON documents one behind the other", () => {
  const all = async (chunks: readonly string[]) => {
    const found: string[] = [];
    for await (const document of splitJson(chunks)) found.push(document);
    return found;
  };

  test.each([
    ['{"a":1}{"b":2}', ['{"a":1}', '{"b":2}']],
    ['{"a":1}\n\n {\n"b": [1, {}]\n}\n', ['{"a":1}', '{\n"b": [1, {}]\n}']],
    ['{"a":"}{\\"]"} {}', ['{"a":"}{\\"]"}', "{}"]],
    ['1 "two" null\n[3]', ["1", '"two"', "null", "[3]"]],
    ['"1.5s"', ['"1.5s"']],
    ['{"a":', ['{"a":']],
    [" \n ", []],
    ["", []],
  ])("%j", async (text, expected) => {
    expect(await all([text])).toEqual(expected);
  });

  test("are the same wherever the text is cut", async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    const text = '{"a":"x\\\\"}\n{"b":{"c":["d}","\\"{"]}} 12 "s \\" t"\n{"e":null}';
    const whole = await all([text]);
    expect(whole).toHaveLength(5);
    for (let round = 0; round < 200; round++) {
      const chunks: string[] = [];
      for (let at = 0; at < text.length; ) {
        const length = 1 + Math.floor(random() * 6);
        chunks.push(text.slice(at, at + length));
        at += length;
      }
      expect(await all(chunks), `seed ${seed}, round ${round}`).toEqual(whole);
    }
  });
});
