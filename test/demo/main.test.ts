import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs the main job as `npm start` does, without generating again. `onOut` sees all that was printed so far. */
function start(args: readonly string[], onOut?: (out: string, interrupt: () => void) => void) {
  return new Promise<Ended>((resolve, reject) => {
    const child = spawn(process.execPath, ["--import", "tsx", "src/demo/main.ts", ...args], { cwd: root });
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk) => {
      out += String(chunk);
      onOut?.(out, () => void child.kill("SIGINT"));
    });
    child.stderr.on("data", (chunk) => {
      err += String(chunk);
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, out, err }));
  });
}

test("the account tells of every cut, and every check holds", async () => {
  const { code, out, err } = await start(["--once", "--port", "0", "--seed", "7", "--cuts", "4"]);
  expect(err).toBe("");
  expect(out).toContain("4 cuts from seed 7");
  for (const kind of ["upload", "watch", "tail"]) expect(out).toMatch(new RegExp(`${kind} +ended +OK after`));
  expect(out).toMatch(/snapshot +OK after/);
  expect(out.match(/ cut {2,}\d of 4: /g)).toHaveLength(4);
  expect(out.match(/ silent from now on, half open /g)).toHaveLength(1);
  expect(out.match(/ resumed {2,}down for /g)).toHaveLength(4);
  const table = out.slice(out.indexOf("Final check"));
  expect(table.match(/^ {2}ok {4}/gm)?.length).toBeGreaterThanOrEqual(10);
  expect(table).not.toContain("FAIL");
  expect(table).toContain("The file arrived whole, and no message was lost or doubled.");
  // No terminal, no colours.
  expect(out).not.toContain("\u001b");
  expect(code).toBe(0);
});

test("it stays up for the page until it is told to stop", async () => {
  let page: Promise<string> | undefined;
  const { code, out, err } = await start(["--port", "0", "--cuts", "0"], (printed, interrupt) => {
    const url = /The page is at (\S+) until/.exec(printed)?.[1];
    if (url === undefined || page !== undefined) return;
    page = fetch(url).then((answer) => answer.text());
    void page.finally(interrupt);
  });
  expect(err).toBe("");
  expect(await page).toContain("<title>Hawser");
  expect(out).toMatch(/Stopped\.\n$/);
  expect(code).toBe(0);
});

test("Ctrl-C in the middle of the account stops at once, and says so with the exit code", async () => {
  let stopped = false;
  const onOut = (printed: string, interrupt: () => void) => {
    if (stopped || !printed.includes(" resumed ")) return;
    stopped = true;
    interrupt();
  };
  const { code, out, err } = await start(["--once", "--seed", "3"], onOut);
  expect(err).toBe("");
  expect(out).not.toContain("Final check");
  expect(code).toBe(130);
});

test("a port that is taken, and arguments that are not known, are explained", async () => {
  const taken = createServer();
  const port = await new Promise<number>((resolve) =>
    taken.listen(0, "127.0.0.1", () => {
      const address = taken.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    }),
  );
  const busy = await start(["--port", String(port)]);
  taken.close();
  expect(busy).toMatchObject({ code: 1, out: "" });
  expect(busy.err).toBe(
    `npm start failed: port ${port} cannot be used (EADDRINUSE). Choose another one: --port <n>\n`,
  );

  const unknown = await start(["--twice"]);
  expect(unknown).toMatchObject({ code: 2, out: "" });
  expect(unknown.err).toContain("--twice");
  expect(unknown.err).toContain("npm start -- [options]");

  const help = await start(["--help"]);
  expect(help).toMatchObject({ code: 0, err: "" });
  expect(help.out).toContain("--once");
});
