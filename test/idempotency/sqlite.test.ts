import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, it } from "vitest";
import { type Claim, Code } from "../../src/index.js";
import { type SqliteStoreOptions, sqliteIdempotencyStore } from "../../src/server/index.js";
import { storeContract } from "./store-contract.js";

const folder = mkdtempSync(join(tmpdir(), "hawser-sqlite-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const newFile = () => join(folder, `${++files}.db`);

const SHAPE = { method: "a.B/C", fingerprint: 2 ** 53 - 1 };
const ID = { identity: "ada", key: "k" };
const OUTCOME = Uint8Array.of(1, 2, 3);

storeContract("the store in SQLite, in memory", () => {
  const database = new DatabaseSync(":memory:");
  const store = sqliteIdempotencyStore({ database, ttlMs: 60_000, leaseMs: 5_000 });
  return { store, ttlMs: 60_000, close: () => database.close() };
});

storeContract("the store in SQLite, in a file", () => {
  const database = new DatabaseSync(newFile());
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
  const store = sqliteIdempotencyStore({ database, table: "keys_of_mine", ttlMs: 60_000, leaseMs: 5_000 });
  return { store, ttlMs: 60_000, close: () => database.close() };
});

/** Opens a file, for one use. */
function withStore<T>(
  file: string,
  use: (store: ReturnType<typeof sqliteIdempotencyStore>, database: DatabaseSync) => T,
): T {
  const database = new DatabaseSync(file);
  try {
    return use(sqliteIdempotencyStore({ database }), database);
  } finally {
    database.close();
  }
}

describe("a store in an SQLite file", () => {
  it("survives its process: outcomes at once, claims when they have run out", () => {
    const file = newFile();
    withStore(file, (store) => {
      const begun = store.begin(ID, SHAPE, 1_000) as { claim: Claim };
      store.complete(begun.claim, OUTCOME, 1_000);
      store.begin({ ...ID, key: "dead" }, SHAPE, 1_000);
    });
    withStore(file, (store) => {
      expect(store.begin(ID, SHAPE, 1_001)).toMatchObject({ state: "done", shape: SHAPE });
      expect(store.begin({ ...ID, key: "dead" }, SHAPE, 1_001)).toMatchObject({ state: "running" });
      expect(store.begin({ ...ID, key: "dead" }, SHAPE, 11_001)).toMatchObject({
        state: "new",
        claim: { attempt: 2 },
      });
    });
  });

  it("keeps a completion with the transaction that it was made in, or not at all", () => {
    const database = new DatabaseSync(newFile());
    const store = sqliteIdempotencyStore({ database });
    database.exec("CREATE TABLE counter (value INTEGER); INSERT INTO counter VALUES (0)");
    const { claim } = store.begin(ID, SHAPE, 0) as { claim: Claim };
    const increment = (end: string) => {
      database.exec("BEGIN IMMEDIATE; UPDATE counter SET value = value + 1");
      store.complete(claim, OUTCOME, 0);
      database.exec(end);
    };
    increment("ROLLBACK");
    expect(store.begin(ID, SHAPE, 1)).toMatchObject({ state: "running" });
    increment("COMMIT");
    expect(store.begin(ID, SHAPE, 1)).toMatchObject({ state: "done" });
    expect(database.prepare("SELECT value FROM counter").get()).toEqual({ value: 1 });
    database.close();
  });

  it("deletes what has expired, a little at a time", () => {
    const database = new DatabaseSync(newFile());
    const store = sqliteIdempotencyStore({ database, ttlMs: 1_000 });
    const run = (key: string, now: number) => {
      const begun = store.begin({ ...ID, key }, SHAPE, now);
      if (begun.state === "new") store.complete(begun.claim, OUTCOME, now);
    };
    for (let i = 0; i < 500; i++) run(`old ${i}`, 0);
    for (let i = 0; i < 500; i++) run(`new ${i}`, 5_000);
    expect(database.prepare("SELECT count(*) AS rows FROM hawser_idempotency").get()).toEqual({ rows: 500 });
    database.close();
  });

  it("leaves a table of another version alone, and says so", () => {
    const file = newFile();
    withStore(file, (store, database) => {
      store.begin(ID, SHAPE, 0);
      database.exec("UPDATE hawser_idempotency SET version = 99");
    });
    expect(() => withStore(file, () => undefined)).toThrow(/keys of version 99, and this is version 1/);
  });

  it("says UNAVAILABLE while another connection holds the database", () => {
    const file = newFile();
    withStore(file, (store) => {
      const other = new DatabaseSync(file);
      other.exec("BEGIN EXCLUSIVE");
      expect(() => store.begin(ID, SHAPE, 0)).toThrow(
        expect.objectContaining({
          code: Code.Unavailable,
          executed: "no",
          rawMessage: expect.stringMatching(/busy_timeout/),
        }),
      );
      other.exec("ROLLBACK");
      other.close();
      expect(store.begin(ID, SHAPE, 0)).toMatchObject({ state: "new" });
    });
  });

  it("gives each claim to one of two processes that want all of them", async () => {
    const file = newFile();
    withStore(file, (_, database) => database.exec("PRAGMA journal_mode = WAL"));
    const keys = 1_500;
    const children = [1, 2].map(() =>
      fork(join(import.meta.dirname, "../support/claim-keys.ts"), [file, String(keys)], {
        execArgv: ["--import", "tsx"],
      }),
    );
    const counts = await Promise.all(
      children.map(
        (child) =>
          new Promise<{ readonly claimed: number; readonly running: number }>((resolve, reject) => {
            child.once("message", (message) => resolve(message as never));
            child.once("exit", (code) => reject(new Error(`it ended with ${code}`)));
          }),
      ),
    );
    expect(counts.reduce((sum, { claimed }) => sum + claimed, 0)).toBe(keys);
    expect(counts.reduce((sum, { running }) => sum + running, 0)).toBe(keys);
  }, 120_000);

  it.each([
    [{ database: undefined as never }, /needs database/],
    [{ table: "a b" }, /plain name/],
    [{ leaseMs: 0 }, /leaseMs/],
    [{ ttlMs: Number.NaN }, /ttlMs/],
  ] as [Partial<SqliteStoreOptions>, RegExp][])("checks its options: %j", (options, message) => {
    const database = new DatabaseSync(":memory:");
    expect(() => sqliteIdempotencyStore({ database, ...options })).toThrow(message);
    database.close();
  });
});
