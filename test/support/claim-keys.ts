// Takes as many claims as it gets of keys that another process wants too; says how many those were.
import { DatabaseSync } from "node:sqlite";
import { sqliteIdempotencyStore } from "../../src/server/index.js";

const [, , file = "", keys = "0"] = process.argv;
const database = new DatabaseSync(file);
database.exec("PRAGMA busy_timeout = 60000");
const store = sqliteIdempotencyStore({ database, leaseMs: 3_600_000 });
const count = { claimed: 0, running: 0 };
for (let key = 0; key < Number(keys); key++) {
  const { state } = store.begin(
    { identity: "", key: String(key) },
    { method: "m", fingerprint: 1 },
    Date.now(),
  );
  if (state === "new") count.claimed++;
  if (state === "running") count.running++;
}
process.send?.(count);
database.close();
process.disconnect();
