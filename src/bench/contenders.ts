import type { Contender } from "./contender.js";

/** All contenders by name. The first one is what the others are compared with. */
export const CONTENDERS: ReadonlyMap<string, () => Promise<Contender>> = new Map([
  // Each is loaded only in its own processes.
  ["raw ws", async () => (await import("./raw-ws.js")).rawWs],
  ["hawser", async () => (await import("./hawser.js")).hawser],
]);
