// Many clients in one process; says when each of them lost its link, when it meant to come back, and when it did.
import { connect } from "../../src/client/index.js";

const [, , url = "", clients = "0"] = process.argv;

interface Return {
  /** Delay before the first attempt that the client has chosen, in milliseconds. */
  readonly plannedMs: number;
  /** From the loss of the link to the new session, in milliseconds. */
  readonly backMs: number;
}

const returns: Return[] = [];
let open = 0;
for (let i = 0; i < Number(clients); i++) {
  const connection = connect(url);
  let lostAt = 0;
  let plannedMs = -1;
  connection.on("reconnecting", ({ attempt, delayMs }) => {
    if (attempt > 1) return;
    lostAt = performance.now();
    plannedMs = delayMs;
  });
  connection.on("state", ({ state }) => {
    if (state !== "open") return;
    open++;
    if (plannedMs < 0) {
      if (open === Number(clients)) process.send?.("open");
      return;
    }
    returns.push({ plannedMs, backMs: performance.now() - lostAt });
    if (returns.length === Number(clients)) process.send?.(returns);
  });
}
process.on("disconnect", () => process.exit(0));
