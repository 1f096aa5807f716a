// When HTTP takes the place of WebSockets.
import { describe, expect, test } from "vitest";
import { Detour, worst } from "../../src/client/detour.js";

const plain = { code: 1006, reason: "cannot connect" };

describe("a WebSocket that fails", () => {
  test("for the first time, without a word why: another try", () => {
    const detour = new Detour(1_000);
    expect(detour.failed(plain, false)).toBe(false);
    expect(detour.failed(plain, false)).toBe(true);
  });

  test("by the answer of something on the way: HTTP at once", () => {
    expect(new Detour(1_000).failed({ ...plain, by: "between" }, false)).toBe(true);
  });

  test("by breaking before its Welcome: HTTP after the second time, or the fourth where one was open", () => {
    const detour = new Detour(1_000);
    detour.broke();
    expect(detour.httpFirst).toBe(false);
    detour.broke();
    expect(detour.httpFirst).toBe(true);
    detour.opened(false);
    for (let i = 0; i < 3; i++) detour.broke();
    expect(detour.httpFirst).toBe(false);
    detour.broke();
    expect(detour.httpFirst).toBe(true);
  });

  test("by silence: HTTP at once", () => {
    expect(new Detour(1_000).failed({ ...plain, code: 4408 }, true)).toBe(true);
  });

  test("by the server's own answer: never HTTP", () => {
    const detour = new Detour(1_000);
    for (let i = 0; i < 9; i++) expect(detour.failed({ ...plain, by: "server" }, false)).toBe(false);
  });

  test("after one was open: four times", () => {
    const detour = new Detour(1_000);
    detour.opened(false);
    expect([1, 2, 3, 4].map(() => detour.failed(plain, false))).toEqual([false, false, false, true]);
  });
});

describe("HTTP", () => {
  test("comes first once it has worked, until it fails", () => {
    const detour = new Detour(1_000);
    expect(detour.httpFirst).toBe(false);
    detour.opened(true);
    expect(detour.httpFirst).toBe(true);
    detour.httpFailed();
    expect(detour.httpFirst).toBe(false);
    // Then either will do.
    expect(detour.failed(plain, false)).toBe(true);
  });

  test("comes first after a WebSocket that lets nothing through", () => {
    const detour = new Detour(1_000);
    detour.mute();
    expect(detour.httpFirst).toBe(true);
    detour.opened(true);
    expect([1, 2, 3].map(() => detour.nextProbe())).toEqual([1_000, 2_000, 4_000]);
  });

  test("is seldom left again for a WebSocket that has answered and gives no Welcome", () => {
    const detour = new Detour(1_000);
    detour.opened(true);
    detour.mute();
    expect(detour.httpFirst).toBe(true);
    detour.opened(true);
    expect([1, 2].map(() => detour.nextProbe())).toEqual([16_000, 32_000]);
    detour.opened(false);
    expect(detour.nextProbe()).toBe(1_000);
  });

  test("is seldom left again for a WebSocket that breaks before its Welcome", () => {
    const detour = new Detour(1_000);
    detour.opened(true);
    expect(detour.nextProbe()).toBe(1_000);
    detour.broke();
    expect(detour.httpFirst).toBe(true);
    detour.opened(true);
    expect([1, 2].map(() => detour.nextProbe())).toEqual([16_000, 32_000]);
  });

  test("is left for a WebSocket after a while, then after twice the time, up to sixteen times", () => {
    const detour = new Detour(1_000);
    detour.opened(true);
    expect([1, 2, 3, 4, 5, 6].map(() => detour.nextProbe())).toEqual([
      1_000, 2_000, 4_000, 8_000, 16_000, 16_000,
    ]);
  });
});

describe("when neither works, what is reported", () => {
  const refused = { code: 4403, reason: "HTTP 403", by: "between" } as const;

  test("is what the server itself says", () => {
    expect(worst(refused, { code: 4401, reason: "who?", by: "server" })).toMatchObject({ code: 4401 });
  });

  test("is not final when only something on the way has said it", () => {
    expect(worst(refused, { code: 1006, reason: "HTTP 403", by: "between" }).code).toBe(1006);
    expect(worst({ ...refused, code: 4401 }, { code: 1006, reason: "HTTP 404", by: "between" }).code).toBe(
      1006,
    );
  });

  test("does not make a client give up when the server was only down", () => {
    expect(worst(refused, { code: 1006, reason: "HTTP 502", by: undefined })).toEqual({
      code: 1006,
      reason: "HTTP 403; over HTTP: HTTP 502",
    });
  });
});
