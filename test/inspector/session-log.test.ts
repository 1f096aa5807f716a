import { describe, expect, it } from "vitest";
import { SessionLog } from "../../src/inspector/session-log.js";

describe("what is kept of events", () => {
  it("are those of sessions, however many strangers are turned away", () => {
    const log = new SessionLog(() => 0);
    log.session({ sessionId: "01", what: "opened" } as Parameters<SessionLog["session"]>[0]);
    for (let turn = 0; turn < 10_000; turn++) {
      log.limited({ limit: "maxConnections" } as Parameters<SessionLog["limited"]>[0]);
      log.refused({ status: 503, reason: "full" } as Parameters<SessionLog["refused"]>[0]);
    }
    const events = log.events(0);
    expect(events[0]).toMatchObject({ what: "opened", session: "01", number: 1 });
    expect(events.length).toBeLessThanOrEqual(201);
    expect(events.map(({ number }) => number)).toEqual(
      events.map(({ number }) => number).sort((a, b) => a - b),
    );
    expect(log.events(log.before(100))[0]).toMatchObject({ what: "opened" });
    expect(log.events(log.before(0))).toEqual([]);
    expect(log.totals).toMatchObject({ limited: 10_000, refused: 10_000 });
  });
});
