// What is written to a link that never drains is bounded, whatever the other side asks for.
import { describe, expect, test } from "vitest";
import { Code } from "../../src/base/code.js";
import { Driver } from "../../src/driver/driver.js";
import type { Link } from "../../src/driver/link.js";
import { Timers } from "../../src/driver/timers.js";
import { Peer } from "../../src/rpc/peer.js";
import type { Transport } from "../../src/rpc/transport.js";
import { resolveSettings } from "../../src/session/settings.js";
import { PacketEncoder } from "../../src/wire/encode.js";
import { DEFAULT_LIMITS } from "../../src/wire/limits.js";
import { frames, packet } from "../support/frames.js";

/** What a message that is not sent costs in memory beside its bytes, about. */
const MESSAGE_COST = 100;

/** No call is made here. */
const never: Transport = { unary: () => expect.fail(), stream: () => expect.fail() };

/** A server's side of a link whose other end never reads: nothing that is written ever leaves. */
function stuckServer() {
  let now = 0;
  let written = 0;
  const deferred: (() => void)[] = [];
  const timers = new Timers(() => now);
  const peer = new Peer({
    role: "server",
    settings: resolveSettings({}),
    encoder: new PacketEncoder(),
    calls: {
      role: "server",
      clock: () => now,
      limits: DEFAULT_LIMITS,
      maxWaitingCalls: 0,
      maxWaitMs: 0,
      outboxWaitMs: 30_000,
      answerer: {
        answer: () => ({ refused: true, code: Code.Unimplemented, message: "nothing is served here" }),
      },
    },
    createTransport: () => never,
    id: new Uint8Array(16),
    epoch: new Uint8Array(16),
    events: {
      whyNotOpen: () => "",
      onOpen: () => undefined,
      onLost: () => undefined,
      onGoAway: () => undefined,
      onRefresh: () => undefined,
      onCut: (_code, reason) => {
        throw new Error(reason);
      },
      onWake: (full) => driver.wake(full),
      onDeadline: () => undefined,
    },
  });
  const driver = new Driver(peer, timers, (flush) => deferred.push(flush));
  const link: Link = {
    kind: "websocket",
    get bufferedBytes() {
      return written;
    },
    send: ({ bytes }) => {
      written += bytes + MESSAGE_COST;
    },
    cork: () => undefined,
    uncork: () => undefined,
    close: () => undefined,
  };
  driver.setLink(link);
  peer.accept(frames.hello(), false, now);
  return {
    get written() {
      return written;
    },
    /** One turn of the event loop. */
    turn(...messages: Uint8Array[]) {
      for (const message of messages) driver.receive(message);
      for (const flush of deferred.splice(0)) flush();
    },
    /** Time passes, in milliseconds. */
    wait(ms: number) {
      now += ms;
    },
    drain() {
      written = 0;
      driver.flush();
    },
    dispose: () => driver.dispose(),
  };
}

describe("a link that never drains", () => {
  test("gets no more answers to pings once it is full, and the newest when it has drained", () => {
    const server = stuckServer();
    for (let id = 1; id <= 20_000; id++) {
      // As many as a link may ask for.
      server.wait(10);
      server.turn(packet(0, frames.ping({ id })));
    }
    expect(server.written).toBeLessThan(256 * 1024);
    server.drain();
    expect(server.written).toBeGreaterThan(0);
    server.dispose();
  });

  test("gets no more acknowledgements once it is full", () => {
    const server = stuckServer();
    server.turn(packet(1, frames.open({ end: false, payload: undefined })));
    // Frames of a call that was refused: nobody answers them.
    for (let seq = 2; seq <= 400_000; seq++) server.turn(packet(seq, frames.credit()));
    expect(server.written).toBeLessThan(256 * 1024);
    server.drain();
    expect(server.written).toBeGreaterThan(0);
    server.dispose();
  });
});
