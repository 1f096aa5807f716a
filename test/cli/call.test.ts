// `hawser call`, `list`, `describe` and `subscribe` as processes, against servers in processes of their own.
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../support/until.js";
import { hawser, start, startServer, type TestServer } from "./hawser.js";
import { openTap } from "./tap.js";

const ECHO = "hawser.test.v1.EchoService";
const TOPICS = "hawser.test.v1.TopicService";

let server: TestServer;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "hawser-cli-"));
  server = await startServer();
});

afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("hawser call", () => {
  const call = (method: string, ...args: string[]) =>
    hawser("call", server.url, `${ECHO}/${method}`, ...args);

  test("prints the answer of a unary call as JSON", async () => {
    expect(await call("Echo", "-d", '{"id": "9007199254740993", "name": "ada", "body": "aGk="}')).toEqual({
      code: 0,
      stdout: '{"id":"9007199254740993","name":"ada","body":"aGk="}\n',
      stderr: "",
    });
    expect((await call("Echo")).stdout).toBe("{}\n");
    expect((await call("Echo", "--emit-defaults")).stdout).toBe('{"id":"0","name":"","body":""}\n');
  });

  test("reads requests from a file and from the standard input", async () => {
    const file = join(folder, "request.json");
    writeFileSync(file, '{\n  "name": "from a file"\n}\n');
    expect((await call("Echo", "-d", `@${file}`)).stdout).toBe('{"name":"from a file"}\n');
    const run = start(["call", server.url, `${ECHO}/Echo`, "-d", "@-"], { input: '{"name":"from stdin"}' });
    expect((await run.ended).stdout).toBe('{"name":"from stdin"}\n');
  });

  test("streams as lines of JSON, both ways", async () => {
    expect((await call("Repeat", "-d", '{"count": 3}')).stdout).toBe(
      '{"number":1}\n{"number":2}\n{"number":3}\n',
    );
    const lines = '{"number":1}\n{"number":\n2}{"number":3}';
    const collect = start(["call", server.url, `${ECHO}/Collect`, "-d", "@-"], { input: lines });
    expect((await collect.ended).stdout).toBe('{"numbers":[1,2,3]}\n');
    expect((await call("Collect")).stdout).toBe("{}\n");
    expect((await call("Converse")).stdout).toBe("");
  });

  test("answers while more requests are still to come", async () => {
    const { child, stdout, ended } = start(["call", server.url, `${ECHO}/Converse`, "-d", "@-"], {
      input: "open",
    });
    for (let number = 1; number <= 3; number++) {
      child.stdin?.write(`{"number":${number}}\n`);
      await until(() => stdout().split("\n").length === number + 1);
    }
    child.stdin?.end();
    expect(await ended).toEqual({
      code: 0,
      stdout: '{"number":1}\n{"number":2}\n{"number":3}\n',
      stderr: "",
    });
  });

  test("sends metadata, and tells what comes back when it is asked to", async () => {
    const { code, stdout, stderr } = await call("Echo", "-H", "X-Seen: a: b", "-v");
    expect([code, stdout]).toEqual([0, "{}\n"]);
    const lines = stderr.trim().split("\n");
    expect(lines[0]).toMatch(/^\* connected to ws:.* in [\d.]+ ms, session [0-9a-f]{32}$/);
    expect(lines.slice(1, 5)).toEqual([
      `* ${ECHO}/Echo (unary)`,
      "> X-Seen: a: b",
      "< x-seen: a: b",
      "< x-end: bye",
    ]);
    expect(lines[5]).toMatch(/^\* OK in [\d.]+ ms/);
  });

  test("ends with eight times the status code, and decodes details", async () => {
    const { code, stdout, stderr } = await call("Echo", "-d", '{"name": "missing"}');
    expect([code, stdout]).toEqual([40, ""]);
    expect(stderr.split("\n")).toEqual([
      "hawser: NOT_FOUND: there is no such name",
      '  detail hawser.test.v1.EchoRequest: {"name":"present"}',
      '  detail google.protobuf.Duration: "3s"',
      "",
    ]);
    const slow = await call("Echo", "-d", '{"name": "slow"}', "--timeout", "100ms", "-v");
    expect(slow.code).toBe(32);
    expect(slow.stderr).toMatch(/^\* DEADLINE_EXCEEDED in [\d.]+ ms, executed: unknown/m);
  });

  test("is cancelled by Ctrl-C", async () => {
    const run = start(["call", server.url, `${ECHO}/Echo`, "-d", '{"name": "slow"}', "-v"]);
    let seen = "";
    run.child.stderr?.on("data", (chunk: string) => {
      seen += chunk;
    });
    await until(() => seen.includes("(unary)"));
    run.child.kill("SIGINT");
    const { code, stderr } = await run.ended;
    expect(code).toBe(130);
    expect(stderr).toContain("* CANCELLED");
  });

  test("ends at Ctrl-C while it waits for input, for a server, or for both", async () => {
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const accepted = once(silent, "connection");
    const waiting = start(["call", `127.0.0.1:${port}`, `${ECHO}/Echo`]);
    await accepted;
    waiting.child.kill("SIGINT");
    expect(await waiting.ended).toEqual({ code: 130, stdout: "", stderr: "" });
    silent.close();
    for (const method of ["Echo", "Converse"]) {
      const tap = await openTap(server.url);
      const reading = start(["call", tap.url, `${ECHO}/${method}`, "-d", "@-", "-v"], { input: "open" });
      let told = "";
      reading.child.stderr?.on("data", (chunk: string) => {
        told += chunk;
      });
      if (method === "Converse") {
        reading.child.stdin?.write('{"number": 1}\n');
        await until(() => reading.stdout() !== "");
      } else await until(() => told.includes("* connected"));
      reading.child.kill("SIGINT");
      expect([method, (await reading.ended).code]).toEqual([method, 130]);
      await tap.close();
    }
  });

  test("says what is wrong in one line, and ends, where the server is still to be found while input is read", async () => {
    const schema = ["--schema", "test/proto/hawser/test/v1/echo.proto"];
    const wrong = await call("Echo", "-d", "{bad}", ...schema);
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      expect.stringMatching(/^hawser: -d: message 1 is no hawser\.test\.v1\.EchoRequest: .*\n$/),
    ]);
    // Nobody listens there, and the standard input stays open.
    const gone = start(["call", "127.0.0.1:1", `${ECHO}/Echo`, "-d", "@-", ...schema], { input: "open" });
    const { code, stderr } = await gone.ended;
    expect([code, stderr]).toEqual([
      112,
      expect.stringMatching(/^hawser: UNAVAILABLE: cannot connect to .*\n$/),
    ]);
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const accepted = once(silent, "connection");
    const both = start(["call", `127.0.0.1:${port}`, `${ECHO}/Echo`, "-d", "@-", ...schema], {
      input: "open",
    });
    await accepted;
    both.child.kill("SIGINT");
    expect(await both.ended).toEqual({ code: 130, stdout: "", stderr: "" });
    silent.close();
  });

  test("ends when the server has ended the call, whether there is more input or not", async () => {
    const failing = start(["call", server.url, `${ECHO}/Converse`, "-d", "@-", "--timeout", "300ms"], {
      input: "open",
    });
    expect((await failing.ended).code).toBe(32);
  });

  test("gives an idempotency key", async () => {
    const reflect = (...args: string[]) =>
      hawser("call", server.url, "hawser.reflected.v1.ReflectedService/Reflect", ...args);
    expect((await reflect("-d", '{"left": "a"}', "--key", "one")).code).toBe(0);
    const again = await reflect("-d", '{"left": "b"}', "--key", "one");
    expect(again.code).not.toBe(0);
    expect(again.stderr).toContain("hawser: ");
  });

  test.each([
    ["Echo", '{"name": "a"}{"name": "b"}', "-d: Echo takes one message, and there are 2"],
    ["Repeat", '{"cuont": 1}', "-d: message 1 is no hawser.test.v1.RepeatRequest: cannot decode"],
    ["Converse", '{"number": 1}{"number": "x"}', "-d: message 2 is no hawser.test.v1.ConverseRequest: "],
  ])("says what is wrong with the requests of %s", async (method, data, expected) => {
    const { code, stderr } = await call(method, "-d", data);
    expect(code).toBe(2);
    expect(stderr).toContain(`hawser: ${expected}`);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});

describe("schemas", () => {
  const image = (format: string): string => {
    const file = join(folder, `schema.${format}`);
    execFileSync("buf", ["build", "test/proto", "-o", file]);
    return file;
  };
  const echo = (...args: string[]) =>
    hawser("call", server.url, `${ECHO}/Echo`, "-d", '{"name":"ada"}', ...args);

  test("come from a folder, a file, and descriptor sets in binary, JSON and gzip", async () => {
    for (const path of [
      "test/proto/hawser/test/v1/echo.proto",
      "test/proto",
      image("binpb"),
      image("json"),
      image("binpb.gz"),
    ]) {
      const { code, stdout, stderr } = await echo("--schema", path);
      expect([path, code, stdout, stderr]).toEqual([path, 0, '{"name":"ada"}\n', ""]);
    }
    const two = await hawser("list", "--schema", "proto", "--schema", image("binpb"));
    expect(two.stdout.split("\n")).toContain(ECHO);
    expect(two.stdout.split("\n")).toContain("grpc.health.v1.Health");
  });

  test("need no server to be looked at", async () => {
    const { code, stdout } = await hawser("describe", "--schema", "proto", "grpc.health.v1.Health.Check");
    expect(code).toBe(0);
    expect(stdout).toBe(`// grpc/health/v1/health.proto
package grpc.health.v1;

service Health {
  // Whether a service, or with an empty name the whole server, can take calls. NOT_FOUND for a service that is not known.
  rpc Check(HealthCheckRequest) returns (HealthCheckResponse) {
    option idempotency_level = NO_SIDE_EFFECTS;
  }
}

message HealthCheckRequest {
  string service = 1;
}

message HealthCheckResponse {
  ServingStatus status = 1;

  enum ServingStatus {
    UNKNOWN = 0;
    SERVING = 1;
    NOT_SERVING = 2;
    SERVICE_UNKNOWN = 3;
  }
}
`);
  });

  test("that are of no use say why", async () => {
    const bad = join(folder, "bad.proto");
    writeFileSync(bad, "syntax = nonsense");
    const noSet = join(folder, "no-set.bin");
    writeFileSync(noSet, "hello");
    const partial = join(folder, "partial.binpb");
    execFileSync("buf", [
      "build",
      "test/proto",
      "--exclude-imports",
      "--path",
      "test/proto/hawser/reflected/v1/reflected.proto",
      "-o",
      partial,
    ]);
    for (const [path, expected] of [
      ["nowhere", "--schema nowhere cannot be read: ENOENT"],
      [bad, `--schema ${bad}: buf cannot build it: `],
      [noSet, `--schema ${noSet} is no FileDescriptorSet, as "buf build -o schema.binpb" writes it`],
      [
        partial,
        "hawser/reflected/v1/reflected.proto imports hawser/reflected/v1/base.proto, which is missing",
      ],
    ] as const) {
      const { code, stderr } = await echo("--schema", path);
      expect(code, path).toBe(2);
      expect(stderr).toContain(expected);
    }
    const both = await echo("--schema", "proto", "--reflect");
    expect(both.stderr).toBe("hawser: --schema and --reflect exclude each other\n");
  });

  test("cannot be built without buf, and it says what to do", async () => {
    const run = start(["list", "--schema", folder], { env: { PATH: folder }, cwd: folder });
    const { code, stderr } = await run.ended;
    expect(code).toBe(2);
    expect(stderr).toContain(
      "reading .proto files takes buf, which is not here; install it (npm install -D @bufbuild/buf)",
    );
  });

  test("are not told by a server in production", async () => {
    const production = await startServer({ NODE_ENV: "production" });
    const { code, stderr } = await hawser("list", production.url);
    await production.close();
    expect(code).toBe(96);
    expect(stderr).toContain("the server does not tell its schema");
    expect(stderr).toContain("give --schema, or the server the option reflection: true");
  });
});

describe("hawser list", () => {
  test("prints services, and methods of services", async () => {
    expect((await hawser("list", server.url)).stdout).toBe(
      `grpc.health.v1.Health\ngrpc.reflection.v1.ServerReflection\nhawser.reflected.v1.ReflectedService\n${ECHO}\n${TOPICS}\n`,
    );
    expect((await hawser("list", server.url, ECHO)).stdout).toBe(
      `${ECHO}/Echo\n${ECHO}/Repeat\n${ECHO}/Collect\n${ECHO}/Converse\n`,
    );
  });

  test("says what is missing", async () => {
    expect(await hawser("list")).toEqual({
      code: 2,
      stdout: "",
      stderr: "hawser: name a server by its URL, or a schema by --schema\n",
    });
    const { code, stderr } = await hawser("list", server.url, "no.Such");
    expect(code).toBe(2);
    expect(stderr).toContain("there is no service no.Such; the services are grpc.health.v1.Health, ");
  });
});

describe("hawser describe", () => {
  test("prints everything that a schema can have", async () => {
    const { stdout } = await hawser(
      "describe",
      server.url,
      "hawser.reflected.v1.ReflectedService",
      "hawser.reflected.v1.ReflectRequest",
      "hawser.reflected.v1.Color",
      "hawser.reflected.v1.top_extension",
      "hawser.reflected.v1.Extendable",
      `${TOPICS}/WatchMembers`,
    );
    expect(stdout).toBe(`// hawser/reflected/v1/reflected.proto
package hawser.reflected.v1;

service ReflectedService {
  rpc Reflect(ReflectRequest) returns (ReflectResponse) {
    option (hawser.v1.once) = true;
  }
}

message ReflectRequest {
  optional Nested nested = 1;
  oneof choice {
    string left = 2;
    int64 right = 3;
  }
  map<string, Nested> by_name = 4;

  message Nested {
    optional Mood mood = 1;

    enum Mood {
      MOOD_UNSPECIFIED = 0;
      MOOD_CALM = 1;
    }
  }
}

enum Color {
  COLOR_UNSPECIFIED = 0;
  COLOR_RED = 1;
}

extend hawser.reflected.v1.Extendable {
  optional int32 top_extension = 100;
}

// hawser/reflected/v1/base.proto
package hawser.reflected.v1;

message Extendable {
  optional google.protobuf.Timestamp at = 1;
  extensions 100 to 200;
}

// hawser/test/v1/topics.proto
package hawser.test.v1;

service TopicService {
  rpc WatchMembers(WatchTopicRequest) returns (stream hawser.v1.PresenceEvent);
}

message WatchTopicRequest {
  string name = 1;
}

// hawser/v1/presence.proto
package hawser.v1;

message PresenceEvent {
  bool snapshot = 1;
  repeated PresenceMember joined = 2;
  repeated PresenceMember left = 3;
}
`);
  });

  test("prints all services by default, and says what is missing", async () => {
    const { stdout } = await hawser("describe", server.url);
    for (const name of ["Health", "ServerReflection", "ReflectedService", "EchoService", "TopicService"])
      expect(stdout).toContain(`\nservice ${name} {\n`);
    const none = await hawser("describe", server.url, "hawser.test.v1.Nothing");
    expect(none.code).toBe(2);
    expect(none.stderr).toContain("there is no symbol hawser.test.v1.Nothing; the services are ");
  });
});

describe("hawser subscribe", () => {
  const note = (number: number) => JSON.stringify({ name: "live", note: { number } });
  const post = (url: string, number: number) => hawser("call", url, `${TOPICS}/Post`, "-d", note(number));

  test("prints what is kept and what comes, and says from where to go on", async () => {
    const watch = ["subscribe", server.url, `${TOPICS}/Watch`, "-d", '{"name":"live"}'];
    await post(server.url, 1);
    await post(server.url, 2);
    const run = start([...watch, "--last", "1"]);
    await until(() => run.stdout().includes('{"number":2}\n'));
    await post(server.url, 3);
    await until(() => run.stdout().includes('{"number":3}\n'));
    run.child.kill("SIGINT");
    const { code, stdout, stderr } = await run.ended;
    expect([code, stdout]).toEqual([0, '{"number":2}\n{"number":3}\n']);
    const [, position = ""] = /^hawser: go on from here with --from (\S+)\n$/.exec(stderr) ?? [];
    await post(server.url, 4);
    const more = await hawser(...watch, "--from", position, "-n", "1", "--positions");
    expect(more.code).toBe(0);
    expect(JSON.parse(more.stdout)).toEqual({
      position: position.replace(/\d+$/, (offset) => String(Number(offset) + 1)),
      message: { number: 4 },
    });
  });

  test("tells a gap, in its place", async () => {
    const watch = ["subscribe", server.url, `${TOPICS}/Watch`, "-d", '{"name":"short"}', "-p"];
    const [newest] = (await hawser(...watch, "--last", "1", "-n", "1")).stdout.split("\n");
    const epoch = (JSON.parse(newest ?? "") as { position: string }).position.split(":")[0];
    const { stdout, stderr } = await hawser(...watch, "--from", `${epoch}:1`, "-n", "2");
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      { gap: { reason: "historyTooShort", from: `${epoch}:1`, to: `${epoch}:3` } },
      { position: `${epoch}:4`, message: { number: 4 } },
      { position: `${epoch}:5`, message: { number: 5 } },
    ]);
    expect(stderr).toContain(
      `hawser: gap: messages between ${epoch}:1 and ${epoch}:3 are missing (historyTooShort)\n`,
    );
  });

  test("goes on through a restart of the server", async () => {
    const first = await startServer();
    const second = await startServer();
    const tap = await openTap(first.url);
    const watch = ["subscribe", tap.url, `${TOPICS}/Watch`, "-d", '{"name":"short"}'];
    const run = start([...watch, "--last", "1", "-v"]);
    await until(() => run.stdout().includes('{"number":8}\n'));
    tap.aim(second.url);
    await first.close();
    await until(() => run.stdout().split("\n").length > 2);
    run.child.kill("SIGINT");
    const { code, stderr } = await run.ended;
    await Promise.all([tap.close(), second.close()]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^hawser: gap: messages between \S+ and \S+ are missing \(newEpoch\)$/m);
    expect(stderr).toContain("* the link broke: ");
  });

  test.each([
    [["--from", "1:2", "--last", "3"], "hawser: --from and --last exclude each other"],
    [["--from", "nonsense"], '"nonsense" is no position; one looks like 6f1c:42'],
  ])("says what is wrong with %j", async (args, expected) => {
    const { code, stderr } = await hawser("subscribe", server.url, `${TOPICS}/Watch`, ...args);
    expect(code).toBe(2);
    expect(stderr.replaceAll("\n", " ")).toContain(expected);
  });

  test("is for server streams", async () => {
    const { code, stderr } = await hawser("subscribe", server.url, `${ECHO}/Echo`);
    expect([code, stderr]).toEqual([2, `hawser: ${ECHO}/Echo is unary; topics come from server streaming\n`]);
  });
});
