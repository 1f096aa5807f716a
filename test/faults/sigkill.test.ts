// A server process that is killed in the middle of calls of all kinds, and started again on the same port.
import type { ChildProcess } from "node:child_process";
import { afterEach, beforeEach, expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { type Client, Code, type Connection, connect, createClient } from "../../src/client/index.js";
import { kill, startProcess } from "../support/process.js";

let server: ChildProcess;
let port: number;
let connection: Connection;
let client: Client<typeof EchoService>;

beforeEach(async () => {
  [server, port] = await startProcess<number>("fault-server.ts");
  connection = connect(`ws://127.0.0.1:${port}/rpc`, {
    reconnect: { initialDelayMs: 20, maxDelayMs: 200 },
    retry: false,
  });
  client = createClient(EchoService, connection);
});

afterEach(async () => {
  await connection.close();
  await kill(server);
});

/** The news that the process is gone may come before that of its sockets: until then, calls are written to them. */
async function noticed(): Promise<void> {
  while (connection.state === "open") await new Promise((resolve) => setTimeout(resolve, 2));
}

it("fails what was in flight, once, and carries on with what waits", async () => {
  const outcomes: string[] = [];
  const note = (kind: string, call: Promise<unknown>) =>
    call.then(
      () => outcomes.push(`${kind}: ok`),
      (error: unknown) => {
        expect(error, kind).toMatchObject({ code: Code.Unavailable, executed: "unknown" });
        outcomes.push(`${kind}: unknown`);
      },
    );
  let seen = 0;
  const read = async (messages: AsyncIterable<unknown>) => {
    for await (const _ of messages) seen++;
  };
  async function* endless() {
    yield { number: 1 };
    await new Promise(() => undefined);
  }
  const inFlight = [
    note("unary", client.echo({ name: "never" })),
    note("server streaming", read(client.repeat({ count: 2 }))),
    note("client streaming", client.collect(endless())),
    note("bidirectional", read(client.converse(endless()))),
  ];
  while (seen < 2) await new Promise((resolve) => setTimeout(resolve, 2));
  await kill(server);
  await noticed();
  // Made while nobody is there: it waits.
  const waiting = client.echo({ name: "later" });
  [server] = await startProcess("fault-server.ts", port);
  expect((await waiting).name).toBe("later");
  await Promise.all(inFlight);
  expect(outcomes.sort()).toEqual([
    "bidirectional: unknown",
    "client streaming: unknown",
    "server streaming: unknown",
    "unary: unknown",
  ]);
  expect(connection.callsInFlight).toBe(0);
  expect((await client.echo({ name: "again" })).name).toBe("again");
});

it("says of calls that never left that they did not run", async () => {
  await connection.ready();
  await kill(server);
  await noticed();
  const error = await client.echo({}, { timeoutMs: 100 }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: Code.DeadlineExceeded, executed: "no" });
});
