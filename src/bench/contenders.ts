import type { Contender } from "./contender.js";

/** Hawser without sequence numbers, acknowledgements and outbox: the same code, bundled without them. */
export const WITHOUT_RELIABILITY = "hawser, no outbox";

/** What can be measured, by name; each is loaded only in its own processes. */
export const CONTENDERS: ReadonlyMap<string, () => Promise<Contender>> = new Map([
  ["raw ws", async () => (await import("./raw-ws.js")).rawWs(false)],
  ["raw ws, deflate", async () => (await import("./raw-ws.js")).rawWs(true)],
  ["hawser", async () => (await import("./hawser.js")).hawser({})],
  [WITHOUT_RELIABILITY, async () => (await import("./hawser.js")).hawser({})],
  ["hawser, with keys", async () => (await import("./hawser.js")).hawser({ keys: true })],
  ["hawser, no limits", async () => (await import("./hawser.js")).hawser({ unlimited: true })],
  ["hawser, authenticated", async () => (await import("./hawser.js")).hawser({ authenticated: true })],
  ["hawser, memory", async () => (await import("./hawser.js")).hawser({ compression: "memory" })],
  ["hawser, balanced", async () => (await import("./hawser.js")).hawser({ compression: "balanced" })],
  ["hawser, ratio", async () => (await import("./hawser.js")).hawser({ compression: "ratio" })],
]);
