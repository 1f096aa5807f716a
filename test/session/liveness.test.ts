import { expect, it } from "vitest";
import { Liveness } from "../../src/session/liveness.js";
import { resolveSettings } from "../../src/session/settings.js";

it("what was asked over a link that is gone does not keep the next one from being measured", () => {
  const liveness = new Liveness(resolveSettings({}));
  liveness.began(0);
  const lost = liveness.measure(10);
  expect(liveness.isUnanswered).toBe(true);
  liveness.began(20);
  expect(liveness.isUnanswered).toBe(false);
  liveness.pong(lost, 30);
  expect(liveness.rttMs).toBe(-1);
  liveness.pong(liveness.measure(40), 47);
  expect(liveness.rttMs).toBe(7);
});
