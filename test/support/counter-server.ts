// A counter in SQLite, served by a process that may be killed at any moment. Effect, number of the increment, and outcome
// of its key are written in one transaction.
import { DatabaseSync } from "node:sqlite";
import { CounterService } from "../../gen/hawser/test/v1/counter_hawser.js";
import { createServer, sqliteIdempotencyStore } from "../../src/server/index.js";

const [, , file = "", port = "0"] = process.argv;

const database = new DatabaseSync(file);
database.exec(`
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  PRAGMA busy_timeout = 5000;
  CREATE TABLE IF NOT EXISTS counter (value INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS applied (number INTEGER NOT NULL);
  INSERT INTO counter SELECT 0 WHERE NOT EXISTS (SELECT * FROM counter);
`);
const apply = database.prepare("INSERT INTO applied VALUES (?)");
const count = database.prepare("UPDATE counter SET value = value + 1 RETURNING value");

/** Applies an increment; `complete` is part of the transaction. */
function increment(number: bigint, complete?: (response: { value: bigint }) => unknown): { value: bigint } {
  database.exec("BEGIN IMMEDIATE");
  try {
    apply.run(number);
    const { value } = count.get() as { value: number };
    const response = { value: BigInt(value) };
    complete?.(response);
    database.exec("COMMIT");
    return response;
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}

const server = createServer({
  idempotencyStore: sqliteIdempotencyStore({ database, leaseMs: 1_000 }),
  pingIntervalMs: 2_000,
  pingTimeoutMs: 2_000,
  routes: (router) =>
    router.service(CounterService, {
      increment: ({ number }, { idempotency }) =>
        increment(number, (response) => idempotency?.complete(response)),
      add: ({ number }) => increment(number),
      async *exchange(requests) {
        for await (const { number } of requests) yield { number };
      },
    }),
});
const listening = await server.listen({ port: Number(port), host: "127.0.0.1" });
process.on("disconnect", () => process.exit(0));
process.send?.(listening.port);
