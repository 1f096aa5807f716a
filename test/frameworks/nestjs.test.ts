// examples/nestjs as a process: Nest's routes and Hawser's path on one port, one provider behind both, and a good end.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, it } from "vitest";
import { PollService } from "../../gen/hawser/poll/v1/poll_pb.js";
import { type Connection, connect, createClient } from "../../src/client/index.js";
import { Code } from "../../src/index.js";

let app: ChildProcess;
let output = "";
let port: string;
let connection: Connection;

beforeAll(async () => {
  app = spawn("node", ["--import", "tsx", "examples/nestjs/main.ts"], {
    env: { ...process.env, PORT: "0", TSX_TSCONFIG_PATH: "examples/nestjs/tsconfig.json" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const listening = new Promise<string>((resolve, reject) => {
    const onData = (data: Buffer) => {
      output += String(data);
      const [, found] = output.match(/listening on http:\/\/127\.0\.0\.1:(\d+)/) ?? [];
      if (found !== undefined) resolve(found);
    };
    app.stdout?.on("data", onData);
    app.stderr?.on("data", onData);
    app.once("exit", (code) => reject(new Error(`it ended with ${code}: ${output}`)));
  });
  port = await listening;
  connection = connect(`ws://127.0.0.1:${port}/rpc`);
});

afterAll(async () => {
  await connection?.close();
  if (app.exitCode === null) app.kill("SIGKILL");
});

it("serves a provider over Hawser, and the same one over HTTP", async () => {
  const poll = createClient(PollService, connection);
  expect(await poll.vote({ option: "rope" })).toMatchObject({ number: 1 });
  expect(await poll.vote({ option: "chain" })).toMatchObject({ number: 2 });
  const votes: string[] = [];
  for await (const { option } of poll.replay({})) votes.push(option);
  expect(votes).toEqual(["rope", "chain"]);
  const shown = await fetch(`http://127.0.0.1:${port}/votes`);
  expect(await shown.json()).toEqual([
    { number: 1, option: "rope" },
    { number: 2, option: "chain" },
  ]);
  await expect(poll.vote({})).rejects.toMatchObject({ code: Code.InvalidArgument, executed: "yes" });
});

it("drains at SIGTERM, before Nest closes its server", async () => {
  const states: string[] = [];
  connection.on("state", ({ state }) => states.push(state));
  const exited = once(app, "exit");
  app.kill("SIGTERM");
  expect(await exited).toEqual([null, "SIGTERM"]);
  expect(states[0]).toBe("draining");
  expect(output).not.toContain("ERROR");
});
