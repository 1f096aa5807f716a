import { checkDuration, checkKeys } from "../base/check.js";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import {
  type Begun,
  type Claim,
  type IdempotencyId,
  type IdempotencyStore,
  LostClaimError,
  type RequestShape,
} from "./store.js";

/** A prepared statement, as `node:sqlite` and `better-sqlite3` have it. */
export interface SqliteStatement {
  get(...parameters: (string | number | Uint8Array)[]): unknown;
  run(...parameters: (string | number | Uint8Array)[]): { readonly changes: number | bigint };
}

/** An open database: `DatabaseSync` of `node:sqlite`, or a `Database` of `better-sqlite3`. */
export interface SqliteDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): SqliteStatement;
}

/** Where and how long a {@link sqliteIdempotencyStore} keeps keys. */
export interface SqliteStoreOptions {
  /** The handler's own database, if effect and response are to be kept together. Set `busy_timeout` if others write to it. */
  readonly database: SqliteDatabase;
  /** Name of the table, made when it is missing. Default `hawser_idempotency`. */
  readonly table?: string;
  /** How long the outcome of a key is kept, in milliseconds. Clients must not use a key for longer. Default 86,400,000 (a day). */
  readonly ttlMs?: number;
  /** How long a process that died keeps its keys from being attempted again, in milliseconds. Default 10,000. */
  readonly leaseMs?: number;
}

/** An {@link IdempotencyStore} in an SQLite database; it answers at once. */
export interface SqliteIdempotencyStore extends IdempotencyStore {
  begin(id: IdempotencyId, shape: RequestShape, now: number): Begun;
  complete(claim: Claim, outcome: Uint8Array, now: number): void;
  release(claim: Claim): void;
  renew(claims: readonly Claim[], now: number): void;
}

/** Layout of the table; a table of another version is not touched. */
const VERSION = 1;

/** Records that have expired go in portions of this size, so that no call waits for a large clean-up. */
const SWEEP_ROWS = 64;

/** There is a clean-up once in so many new keys. */
const SWEEP_EVERY = 32;

/**
 * Keeps idempotency keys in a table of an SQLite database, so that they survive the process. Every method is one
 * statement: inside a transaction that the handler has opened on the same connection, `context.idempotency.complete()`
 * is kept with the handler's effect or not at all.
 *
 * @throws TypeError or RangeError for a wrong option; Error when the table was made by another version.
 */
export function sqliteIdempotencyStore(options: SqliteStoreOptions): SqliteIdempotencyStore {
  checkKeys("sqliteIdempotencyStore()", options, ["database", "table", "ttlMs", "leaseMs"]);
  const { database, table = "hawser_idempotency" } = options;
  if (typeof database?.prepare !== "function" || typeof database.exec !== "function") {
    throw new TypeError("sqliteIdempotencyStore() needs database: new DatabaseSync(path), of node:sqlite");
  }
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(table)) {
    throw new TypeError(`table must be a plain name, not ${JSON.stringify(table)}`);
  }
  const leaseMs = checkDuration("leaseMs", options.leaseMs ?? 10_000);
  if (leaseMs === 0) throw new RangeError("leaseMs must be above 0, or every attempt counts as dead at once");
  return new SqliteStore(database, table, checkDuration("ttlMs", options.ttlMs ?? 86_400_000), leaseMs);
}

interface Row {
  readonly attempt: number;
  readonly method: string;
  readonly fingerprint: number;
  readonly lease_until: number;
  readonly outcome: Uint8Array | null;
}

class SqliteStore implements SqliteIdempotencyStore {
  readonly leaseMs: number;
  readonly #ttlMs: number;
  readonly #claim: SqliteStatement;
  readonly #read: SqliteStatement;
  readonly #complete: SqliteStatement;
  readonly #release: SqliteStatement;
  readonly #renew: SqliteStatement;
  readonly #sweep: SqliteStatement;
  #untilSweep = SWEEP_EVERY;

  constructor(database: SqliteDatabase, table: string, ttlMs: number, leaseMs: number) {
    this.#ttlMs = ttlMs;
    this.leaseMs = leaseMs;
    createTable(database, table);
    // One statement decides: a new key, one whose claim has run out, and one whose outcome has expired, are taken.
    this.#claim = database.prepare(
      `INSERT INTO ${table} (identity, key, version, attempt, method, fingerprint, lease_until, outcome, expires_at)
       VALUES (?1, ?2, ${VERSION}, 1, ?3, ?4, ?5, NULL, ?6)
       ON CONFLICT (identity, key) DO UPDATE SET attempt = attempt + 1, method = excluded.method,
         fingerprint = excluded.fingerprint, lease_until = excluded.lease_until, outcome = NULL,
         expires_at = excluded.expires_at
       WHERE (outcome IS NULL AND lease_until <= ?7) OR expires_at <= ?7
       RETURNING attempt`,
    );
    this.#read = database.prepare(
      `SELECT attempt, method, fingerprint, lease_until, outcome FROM ${table} WHERE identity = ?1 AND key = ?2`,
    );
    const held = "identity = ?1 AND key = ?2 AND attempt = ?3 AND outcome IS NULL";
    this.#complete = database.prepare(`UPDATE ${table} SET outcome = ?4, expires_at = ?5 WHERE ${held}`);
    this.#release = database.prepare(`UPDATE ${table} SET lease_until = 0 WHERE ${held}`);
    this.#renew = database.prepare(`UPDATE ${table} SET lease_until = ?4, expires_at = ?5 WHERE ${held}`);
    this.#sweep = database.prepare(
      `DELETE FROM ${table} WHERE (identity, key) IN
         (SELECT identity, key FROM ${table} WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ${SWEEP_ROWS})`,
    );
  }

  begin({ identity, key }: IdempotencyId, { method, fingerprint }: RequestShape, now: number): Begun {
    return tried(() => {
      if (--this.#untilSweep <= 0) {
        this.#untilSweep = SWEEP_EVERY;
        this.#sweep.run(Math.floor(now));
      }
      for (;;) {
        const leaseUntil = Math.ceil(now + this.leaseMs);
        const expiresAt = Math.ceil(leaseUntil + this.#ttlMs);
        const taken = this.#claim.get(
          identity,
          key,
          method,
          fingerprint,
          leaseUntil,
          expiresAt,
          Math.floor(now),
        );
        if (taken !== undefined) {
          return { state: "new", claim: { identity, key, attempt: (taken as Row).attempt } };
        }
        const row = this.#read.get(identity, key) as Row | undefined;
        // Gone between two statements: somebody else has swept it.
        if (row === undefined) continue;
        const shape = { method: row.method, fingerprint: row.fingerprint };
        if (row.outcome !== null) return { state: "done", shape, outcome: row.outcome };
        return { state: "running", shape, leaseLeftMs: Math.max(0, row.lease_until - now) };
      }
    });
  }

  complete(claim: Claim, outcome: Uint8Array, now: number): void {
    const { identity, key, attempt } = claim;
    const expiresAt = Math.ceil(now + this.#ttlMs);
    const { changes } = tried(() => this.#complete.run(identity, key, attempt, outcome, expiresAt));
    if (Number(changes) === 0) lost(claim);
  }

  release({ identity, key, attempt }: Claim): void {
    tried(() => this.#release.run(identity, key, attempt));
  }

  renew(claims: readonly Claim[], now: number): void {
    const leaseUntil = Math.ceil(now + this.leaseMs);
    for (const { identity, key, attempt } of claims) {
      tried(() => this.#renew.run(identity, key, attempt, leaseUntil, Math.ceil(leaseUntil + this.#ttlMs)));
    }
  }
}

function createTable(database: SqliteDatabase, table: string): void {
  tried(() =>
    database.exec(
      `CREATE TABLE IF NOT EXISTS ${table} (
         identity TEXT NOT NULL,
         key TEXT NOT NULL,
         version INTEGER NOT NULL,
         attempt INTEGER NOT NULL,
         method TEXT NOT NULL,
         fingerprint INTEGER NOT NULL,
         lease_until INTEGER NOT NULL,
         outcome BLOB,
         expires_at INTEGER NOT NULL,
         PRIMARY KEY (identity, key)
       ) WITHOUT ROWID;
       CREATE INDEX IF NOT EXISTS ${table}_expires_at ON ${table} (expires_at);`,
    ),
  );
  const other = database.prepare(`SELECT version FROM ${table} WHERE version <> ${VERSION} LIMIT 1`).get();
  if (other !== undefined) {
    const { version } = other as { version: number };
    throw new Error(
      `table ${table} holds keys of version ${version}, and this is version ${VERSION}; give another table`,
    );
  }
}

/** Somebody else holds the database: no fault of anybody, and gone in a moment. */
function tried<T>(task: () => T): T {
  try {
    return task();
  } catch (error) {
    throw isBusy(error) ? busy(error) : error;
  }
}

function isBusy(error: unknown): boolean {
  const { errcode, code } = error as { errcode?: number; code?: string };
  // SQLITE_BUSY, with its extended codes (node:sqlite gives the number, better-sqlite3 the name).
  return (errcode !== undefined && (errcode & 0xff) === 5) || code?.startsWith("SQLITE_BUSY") === true;
}

function busy(cause: unknown): RpcError {
  return new RpcError(
    "another connection holds the database of idempotency keys; set PRAGMA busy_timeout to wait for it",
    Code.Unavailable,
    { executed: "no", cause },
  );
}

function lost(claim: Claim): never {
  throw new LostClaimError(claim);
}
