import { type ChildProcess, execFile, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resolveConnectOptions } from "../src/client/options.js";
import { resolveServerOptions } from "../src/server/options.js";
import { type Block, blocksOf, excerptOf, FOLLOWED, PAGES, textOf } from "./docs/pages.js";
import { type NatsServer, startNats } from "./support/nats.js";

const run = promisify(execFile);

/** Everything but the pages that have a test of their own: all for the same folder. */
const blocks: readonly Block[] = PAGES.filter(
  (page) => page === "README.md" || (/^docs\/[^/]+$/.test(page) && !FOLLOWED.includes(page)),
)
  .flatMap(blocksOf)
  .filter(
    (block) => excerptOf(block) === undefined && /^[\w./-]+$/.test(block.label) && block.label !== "other",
  );
const files = blocks.filter(({ label }) => /\.\w+$/.test(label));

function command(label: string): string {
  const found = blocks.filter((block) => block.language === "sh" && block.label === label);
  expect(found, `one sh block labelled ${label}`).toHaveLength(1);
  return found[0]!.text.trim();
}

/** What the tests below compile, and run where it is a program. */
const TESTED: readonly string[] = [
  "proto proto/bank.proto",
  "proto proto/eliza.proto",
  "proto proto/greet.proto",
  "proto proto/market.proto",
  "proto proto/orders.proto",
  "proto proto/room.proto",
  "proto secret.proto",
  "sh browser",
  "sh call",
  "sh client",
  "sh connect",
  "sh generate",
  "sh observability",
  "sh run",
  "sh server",
  "sh setup",
  "sh validation",
  "text call",
  "text client",
  "ts attached.ts",
  "ts bank.ts",
  "ts both-ways.ts",
  "ts calls.ts",
  "ts client.ts",
  "ts compressed.ts",
  "ts connect-identity.ts",
  "ts connect-main.ts",
  "ts connect-routes.ts",
  "ts connect-talk.ts",
  "ts cuts.ts",
  "ts eliza-client.ts",
  "ts eliza-server.ts",
  "ts errors.ts",
  "ts fallback.ts",
  "ts from-connect.ts",
  "ts from-trpc.ts",
  "ts generated.ts",
  "ts guarded.ts",
  "ts inspected.ts",
  "ts news.ts",
  "ts nodes.ts",
  "ts observed.ts",
  "ts other-database.ts",
  "ts page.ts",
  "ts proxied.ts",
  "ts retries.ts",
  "ts roles.ts",
  "ts room.ts",
  "ts server.ts",
  "ts tabs-worker.ts",
  "ts tabs.ts",
  "ts ticks.ts",
  "ts topics.ts",
  "ts validated.ts",
  "ts watching.ts",
  "yaml buf.gen.js.yaml",
  "yaml buf.gen.yaml",
  "yaml buf.yaml",
];

let folder: string;
let nats: NatsServer;
/** Free ports of this machine in place of those that the README names. */
const ports = new Map<string, string>();
const here = (text: string): string =>
  [...ports].reduce((changed, [named, free]) => changed.replaceAll(named, free), text);

async function freePort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return String(port);
}

const children: ChildProcess[] = [];

/** Runs a command of the README in the new user's folder. */
const shell = (line: string) => run("bash", ["-euo", "pipefail", "-c", line], { cwd: folder });

/** What a program prints, line by line. */
const lines = async (line: string) => (await shell(line)).stdout.trim().split("\n");

/** Starts a program and waits until it has printed this text. */
function start(line: string, until: string): Promise<ChildProcess> {
  const child = spawn("bash", ["-c", `exec ${line}`], { cwd: folder, detached: true });
  children.push(child);
  let output = "";
  return new Promise((done, fail) => {
    const onData = (data: Buffer) => {
      output += String(data);
      if (output.includes(until)) done(child);
    };
    child.stdout.on("data", onData);
    child.stderr.on("data", onData);
    child.once("exit", (code) => fail(new Error(`${line} ended with ${code}: ${output}`)));
  });
}

function stop(child: ChildProcess): Promise<void> {
  return new Promise((done) => {
    child.removeAllListeners("exit");
    child.once("exit", () => done());
    // npx starts a process of its own; the group is what has to go.
    process.kill(-child.pid!, "SIGKILL");
  });
}

beforeAll(async () => {
  for (const named of ["8080", "8081"]) ports.set(named, await freePort());
  nats = await startNats();
  ports.set("4222", String(nats.port));
  folder = mkdtempSync(join(tmpdir(), "hawser-readme-"));
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder]);
  const packed: unknown = JSON.parse(stdout.slice(stdout.search(/^[[{]/m)));
  const [{ filename }] = (Array.isArray(packed) ? packed : Object.values(packed as object)) as [
    { filename: string },
  ];
  const tarball = resolve(folder, filename);
  const setup = command("setup").replace("npm install hawser ", `npm install ${tarball} `);
  expect(setup).toContain(tarball);
  await shell(setup);
  await shell(command("validation"));
  await shell(command("connect"));
  await shell(command("observability"));
  for (const { label, text } of files) {
    mkdirSync(dirname(join(folder, label)), { recursive: true });
    writeFileSync(join(folder, label), here(text));
  }
  // What `buf dep update` would fetch over the network.
  cpSync("test/proto/buf", join(folder, "proto/buf"), { recursive: true });
  await shell(command("generate"));
}, 240_000);

afterAll(async () => {
  await Promise.all(
    children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null).map(stop),
  );
  await nats?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe("README and docs, followed in an empty folder with the packed package", () => {
  it("has no block that is not tested here", () => {
    const labels = blocks.map(({ language, label }) => `${language} ${label}`);
    expect(labels.filter((label) => !TESTED.includes(label))).toEqual([]);
    expect(TESTED.filter((label) => !labels.includes(label))).toEqual([]);
  });

  it("names commands of this package: npm ci, and scripts that exist", () => {
    const { scripts } = JSON.parse(readFileSync("package.json", "utf8"));
    const commands = blocks.filter(({ label }) => label === "run").map(({ text }) => text.trim());
    expect(commands).toEqual(["npm ci && npm start", "npm ci && npm test"]);
    expect(scripts).toHaveProperty("start");
    expect(scripts).toHaveProperty("test");
  });

  it("has snippets that the strict compiler accepts", async () => {
    const options = ["--strict", "--noEmit", "--module", "nodenext", "--target", "es2023", "--types", "node"];
    const sources = files.filter(({ language }) => language === "ts").map(({ label }) => label);
    expect(sources).toHaveLength(TESTED.filter((label) => label.startsWith("ts ")).length);
    await expect(shell(`npx tsc ${options.join(" ")} ${sources.join(" ")}`)).resolves.toMatchObject({
      stdout: "",
    });
  }, 120_000);

  it("has a first server and client that fit what `tsc --init` makes", async () => {
    await shell(
      "mkdir strict && cp -r gen server.ts client.ts package.json strict && ln -s ../node_modules strict/node_modules",
    );
    await expect(shell("cd strict && npx tsc --init && npx tsc --noEmit")).resolves.toMatchObject({
      stderr: "",
    });
  }, 120_000);

  it("has a server and clients that do what it says", async () => {
    const until = `listening on ws://localhost:${ports.get("8080")}/rpc`;
    const greeter = await start(command("server"), until);
    for (const said of ["client", "call"]) {
      const shown = blocks.find(({ language, label }) => language === "text" && label === said);
      expect(await lines(here(command(said)))).toEqual(shown?.text.trim().split("\n"));
    }
    await stop(greeter);
    await start("npx tsx eliza-server.ts", until);
    expect(await lines("npx tsx eliza-client.ts")).toEqual([
      "You said hello",
      "Hi Ada.",
      "I am Eliza.",
      "2",
      "Why do you say it rains?",
    ]);
    expect(await lines("npx tsx calls.ts")).toEqual(["Say was answered", "0 response headers", "true"]);
    expect(await lines("npx tsx watching.ts")).toEqual(["open", "closed"]);
    expect(await lines("npx tsx from-connect.ts")).toEqual([
      "You said hello",
      "Why do you say it rains?",
      "Why do you say it pours?",
    ]);
    expect(await lines("npx tsx from-trpc.ts")).toEqual(["You said hello", "Hi Ada."]);
  }, 120_000);

  it("has examples that bring their own server", async () => {
    expect(await lines("npx tsx both-ways.ts")).toEqual(["I asked, and the client said: yes"]);
    expect(await lines("npx tsx retries.ts")).toEqual(["hello, at attempt 3"]);
    expect(await lines("npx tsx news.ts")).toEqual(["It rains.", "It pours.", "The sun is back."]);
    expect(await lines("npx tsx errors.ts")).toEqual(["INVALID_ARGUMENT: be brief true yes", "at most 10"]);
  }, 120_000);

  it("has generated interfaces and factories, in TypeScript and in JavaScript", async () => {
    expect(await lines("npx tsx generated.ts")).toEqual(["Why do you say it rains?"]);
    await shell("npx buf generate --template buf.gen.js.yaml");
    const program = `
      import { codecOf, decode, encode } from "hawser/codec";
      import { createElizaServiceClient, elizaServiceRoutes, SayRequestSchema } from "./gen-js/eliza_hawser.js";
      const bytes = encode(SayRequestSchema, { sentence: "hello" });
      console.log(typeof createElizaServiceClient, typeof elizaServiceRoutes, codecOf(SayRequestSchema) !== undefined);
      console.log(bytes.length, decode(SayRequestSchema, bytes).sentence);`;
    writeFileSync(join(folder, "generated.mjs"), program);
    expect(await lines("node generated.mjs")).toEqual(["function function true", "7 hello"]);
  }, 120_000);

  it("has topics, on one node and on two", async () => {
    expect(await lines("npx tsx topics.ts")).toEqual(["Dinner is ready.", "Coffee, too."]);
    expect(await lines("npx tsx ticks.ts")).toEqual(["11", "12", "13", "true", "true 0"]);
    expect(await lines("npx tsx nodes.ts")).toEqual(["10", "11"]);
    expect(await lines("npx tsx room.ts")).toEqual(["hello"]);
  }, 120_000);

  it("has handlers whose effect happens once, in this process and in the next", async () => {
    const node = "node --disable-warning=ExperimentalWarning --import tsx";
    expect(await lines(`${node} bank.ts`)).toEqual(["100n", "101n", "101n", "101n"]);
    expect(await lines(`${node} bank.ts`)).toEqual(["201n", "101n", "101n", "101n"]);
    expect(await lines(`${node} other-database.ts`)).toEqual(["server 1: 5", "server 2: 5"]);
  }, 120_000);

  it("has a server that validates by its schema", async () => {
    expect(await lines("npx tsx validated.ts")).toEqual([
      "INVALID_ARGUMENT: orders.v1.PlaceRequest: email: must be a valid email address [string.email]; items[0].quantity: must be greater than 0 and less than or equal to 100 [uint32.gt_lte]; a gift needs a greeting [place.gift]",
      "executed: no",
      "email | string.email | must be a valid email address",
      "items.quantity | uint32.gt_lte | must be greater than 0 and less than or equal to 100",
      " | place.gift | a gift needs a greeting",
    ]);
  }, 120_000);

  it("has Connect's clients and routes over Hawser", async () => {
    expect(await lines("npx tsx connect-main.ts")).toEqual([
      "heard by ada",
      "You said hello",
      "[invalid_argument] be brief true 10",
      "Why do you say it rains?",
      "Why do you say it pours?",
    ]);
    expect(await lines("npx tsx connect-identity.ts")).toEqual(["key order-42", "5n", "5n", "5n"]);
  }, 120_000);

  it("has a server that knows who is there", async () => {
    expect(await lines("npx tsx guarded.ts")).toEqual(["ada: hello", "200"]);
    expect(await lines("npx tsx roles.ts")).toEqual(["PERMISSION_DENIED: you may not enter vault"]);
  }, 120_000);

  it("has a server that compresses, and a schema that forbids it", async () => {
    expect(await lines("npx tsx compressed.ts")).toEqual(["5000"]);
    // Where buf looks for it.
    await shell("cp secret.proto proto/ && npx buf build");
  }, 120_000);

  it("has a server that is observed", async () => {
    expect(await lines("npx tsx observed.ts")).toEqual(["true"]);
  }, 120_000);

  it("has a server that serves an inspector", async () => {
    expect(await lines("npx tsx inspected.ts")).toEqual(["200"]);
  }, 120_000);

  it("has a connection that says what carries it", async () => {
    expect(await lines("npx tsx fallback.ts")).toEqual(["hello", "websocket [ 'websocket' ]"]);
  }, 120_000);

  it("has tests against cuts that pass", async () => {
    expect(await lines("npx tsx cuts.ts")).toEqual(["You said hello"]);
    expect(await lines("npx tsx proxied.ts")).toEqual(["3", "3", "500", "4", "2 breaks"]);
  }, 120_000);

  it("has a client that is bundled for browsers", async () => {
    await shell(command("browser"));
    const bundle = readFileSync(join(folder, "client.bundle.js"), "utf8");
    expect(bundle).toContain("new WebSocket(");
    expect(bundle).not.toMatch(/["']node:|["']ws["']/);
  }, 120_000);

  it("has a server beside a web site, with authentication, an interceptor and a good end", async () => {
    writeFileSync(
      join(folder, "visitor.ts"),
      here(`import { connect, createClient, RpcError } from "hawser/client";
       import { ElizaService } from "./gen/eliza_pb.js";
       console.log(await (await fetch("http://localhost:8081/")).text());
       for (const credentials of ["secret", "wrong"]) {
         const connection = connect("ws://localhost:8081/rpc", { credentials });
         try {
           const onHeader = (headers: Headers) => console.log(headers.get("served-to"));
           console.log((await createClient(ElizaService, connection).say({ sentence: "hi" }, { onHeader })).sentence);
         } catch (error) {
           console.log(error instanceof RpcError ? error.rawMessage : error);
         }
         await connection.close();
       }`),
    );
    const server = spawn("node", ["--import", "tsx", "attached.ts"], { cwd: folder, detached: true });
    children.push(server);
    let calls = "";
    server.stdout.on("data", (data) => {
      calls += String(data);
    });
    const answers = () =>
      fetch(here("http://localhost:8081")).then(
        () => true,
        () => false,
      );
    while (server.exitCode === null && !(await answers())) await new Promise((done) => setTimeout(done, 20));
    expect(await lines("npx tsx visitor.ts")).toEqual([
      "a web site",
      "ada",
      "hi",
      "the server closed the connection: who are you? (4401)",
    ]);
    expect(calls.trim()).toBe("Say");
    const ended = new Promise((done) => server.once("exit", done));
    server.kill("SIGTERM");
    expect(await ended).toBe(0);
  }, 120_000);
});

describe("the table of limits", () => {
  const rows = [...textOf("docs/limits.md").matchAll(/^\| (`.*?) \| (.*?) \|/gm)].flatMap(
    ([, names = "", defaults = ""]) => {
      const side = names.match(/ \((server|client)\)$/)?.[1] ?? "both";
      const values = defaults.split(", ");
      return [...names.matchAll(/`(.*?)`/g)].map(([, name], index) => `${side} ${name} ${values[index]}`);
    },
  );

  it("names every limit and time with its default", () => {
    const server = resolveServerOptions({ routes: () => undefined });
    const client = resolveConnectOptions({});
    const { handshakeTimeoutMs: ofServer, ...common } = server.session;
    const { handshakeTimeoutMs: ofClient, ...ofClientToo } = client.session;
    // How many proxies there are is no limit.
    const { trustedProxies: _, ...limits } = server;
    const numbers = (side: string, prefix: string, values: object): string[] =>
      Object.entries(values)
        .filter(([, value]) => typeof value === "number")
        .map(([name, value]) => `${side} ${prefix}${name} ${inWords(name, value)}`);
    expect([...rows].sort()).toEqual(
      [
        ...numbers("both", "", common),
        `server handshakeTimeoutMs ${inWords("handshakeTimeoutMs", ofServer)}`,
        `client handshakeTimeoutMs ${inWords("handshakeTimeoutMs", ofClient)}`,
        ...numbers("both", "limits.", server.session.limits),
        ...numbers("server", "", limits),
        ...numbers("client", "", client),
        ...numbers("client", "reconnect.", client.reconnect),
      ].sort(),
    );
    expect(ofClientToo).toEqual(common);
  });
});

/** A default as the README writes it. */
function inWords(name: string, value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "none";
  if (name.endsWith("Ms")) return value % 1_000 === 0 ? `${value / 1_000} s` : `${value} ms`;
  if (!/bytes/i.test(name)) return value.toLocaleString("en");
  if (value % 2 ** 30 === 0) return `${value / 2 ** 30} GiB`;
  return value % 1_048_576 === 0 ? `${value / 1_048_576} MiB` : `${value / 1_024} KiB`;
}
