import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { withTables } from "../../.ci/write-protocol-tables.js";
import { CloseCode } from "../../src/base/close.js";
import type { SessionHost } from "../../src/session/host.js";
import { Session } from "../../src/session/session.js";
import { DEFAULT_SETTINGS, type SessionSettings } from "../../src/session/settings.js";
import {
  SESSION_INPUTS,
  SESSION_STATES,
  SESSION_TABLE,
  type SessionInput,
  type SessionState,
} from "../../src/session/state.js";
import { decodePacket } from "../../src/wire/decode.js";
import { encodePacket, PacketEncoder } from "../../src/wire/encode.js";
import { WireError } from "../../src/wire/error.js";
import type { CallFrame, Frame, HelloFrame, Packet, WelcomeFrame } from "../../src/wire/frame.js";

const ID = new Uint8Array(16).fill(7);
const EPOCH = new Uint8Array(16).fill(9);

const HELLO: HelloFrame = {
  kind: "hello",
  version: 1,
  mode: 1,
  session: new Uint8Array(0),
  epoch: new Uint8Array(0),
  received: 0,
  credentials: "",
  limits: undefined,
  agent: "",
  link: 0,
};

const WELCOME: WelcomeFrame = {
  kind: "welcome",
  session: ID,
  epoch: EPOCH,
  resumed: false,
  received: 0,
  limits: undefined,
  pingIntervalMs: 0,
  pingTimeoutMs: 0,
  graceMs: 0,
};

const cancel = (call: number): CallFrame => ({ kind: "cancel", call, code: 1, message: "" });
const bytes = (frames: readonly Frame[], seq = 0, ack = 0): Uint8Array => encodePacket({ seq, ack, frames });

/** A session and all that it did to its host. */
class Bench {
  readonly received: CallFrame[] = [];
  readonly events: string[] = [];
  /** Whether it was asked to write at once, each time. */
  readonly wakes: boolean[] = [];
  readonly session: Session;

  constructor(role: "client" | "server", settings: Partial<SessionSettings> = {}) {
    const host: SessionHost = {
      onFrame: (frame) => this.received.push(frame),
      pullFrame: () => undefined,
      onOpen: ({ resumed, resent }) => this.events.push(`open resumed=${resumed} resent=${resent}`),
      onLost: () => this.events.push("lost"),
      onGoAway: ({ code }) => this.events.push(`goAway ${code}`),
      onRefresh: ({ withinMs }) => this.events.push(`refresh ${withinMs}`),
      onTopic: ({ kind }) => this.events.push(kind),
      onCut: (code) => this.events.push(`cut ${code}`),
      onWake: (atOnce) => this.wakes.push(atOnce),
    };
    this.session = new Session({
      role,
      settings: { ...DEFAULT_SETTINGS, ...settings },
      host,
      encoder: new PacketEncoder(),
      ...(role === "server" ? { id: ID, epoch: EPOCH } : {}),
    });
  }

  /** All packets that the session has to write. */
  written(now = 0): Packet[] {
    const packets: Packet[] = [];
    for (
      let packet = this.session.transmit(now, true);
      packet !== undefined;
      packet = this.session.transmit(now, true)
    ) {
      packets.push(decodePacket(new Uint8Array([...packet.head, ...(packet.body ?? [])])));
    }
    return packets;
  }
}

function inState(state: SessionState): Bench {
  const bench = new Bench("client");
  if (state === "greeting" || state === "open") bench.session.linkUp(0, "token");
  if (state === "open") bench.session.receive(bytes([WELCOME]), 0);
  if (state === "ended") bench.session.end();
  expect(bench.session.state).toBe(state);
  return bench;
}

const INPUTS: Record<SessionInput, (session: Session) => void> = {
  linkUp: (session) => session.linkUp(0, ""),
  accept: (session) => session.accept(HELLO, false, 0),
  welcome: (session) => session.receive(bytes([WELCOME]), 0),
  packet: (session) => session.receive(bytes([cancel(1)], 1), 0),
  ping: (session) => session.receive(bytes([{ kind: "ping", id: 1 }]), 0),
  pong: (session) => session.receive(bytes([{ kind: "pong", id: 1 }]), 0),
  goAway: (session) =>
    session.receive(bytes([{ kind: "goAway", code: 1001, reason: "", reconnect: true, afterMs: 0 }]), 0),
  refresh: (session) => session.receive(bytes([{ kind: "refresh", credentials: "", withinMs: 5 }]), 0),
  topic: (session) =>
    session.receive(bytes([{ kind: "position", call: 1, epoch: "", offset: 0, id: 1, room: 9 }]), 0),
  hello: (session) => session.receive(bytes([HELLO]), 0),
  linkDown: (session) => session.linkDown(),
  end: (session) => session.end(),
};

describe("every input in every state", () => {
  const grid = SESSION_STATES.flatMap((state) => SESSION_INPUTS.map((input) => [state, input] as const));

  it("is in the grid", () => {
    expect(grid).toHaveLength(SESSION_STATES.length * Object.keys(INPUTS).length);
  });

  it.each(grid)("%s, %s", (state, input) => {
    const { session } = inState(state);
    const transition = SESSION_TABLE[state][input];
    if (transition !== undefined) {
      INPUTS[input](session);
      expect(session.state).toBe(transition[1]);
      return;
    }
    expect(() => INPUTS[input](session)).toThrow(WireError);
    expect(session.state).toBe(state);
  });
});

describe("docs/PROTOCOL.md", () => {
  it("has the tables of the sources", () => {
    const page = readFileSync("docs/PROTOCOL.md", "utf8");
    expect(withTables(page)).toBe(page);
  });
});

describe("numbers and acknowledgements", () => {
  it("counts packets of call frames from 1, and drops duplicates", () => {
    const { session, received } = inState("open");
    session.receive(bytes([cancel(1)], 1), 0);
    session.receive(bytes([cancel(1)], 1), 0);
    session.receive(bytes([cancel(3)], 2), 0);
    expect(received.map(({ call }) => call)).toEqual([1, 3]);
    expect(session.receivedSeq).toBe(2);
  });

  it.each([
    ["a gap", bytes([cancel(1)], 2)],
    ["an acknowledgement of what was not sent", bytes([cancel(1)], 1, 5)],
    ["a call frame without a number", bytes([cancel(1)])],
    ["a control frame with a number", bytes([{ kind: "ping", id: 1 }], 1)],
  ])("refuses %s with 1002", (_what, packet) => {
    const { session } = inState("open");
    let thrown: unknown;
    try {
      session.receive(packet, 0);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(WireError);
    expect((thrown as WireError).closeCode).toBe(CloseCode.protocolError);
  });

  it("uses nothing of a packet that does not decode", () => {
    const { session, received } = inState("open");
    const whole = bytes([cancel(1), cancel(3)], 1);
    expect(() => session.receive(whole.subarray(0, whole.length - 1), 0)).toThrow(WireError);
    expect(received).toEqual([]);
    session.receive(whole, 0);
    expect(received).toHaveLength(2);
  });

  it.each([
    ["16 frames", 0, 16],
    ["16 KiB", 3_000, 6],
  ])("has a packet of %s written at once, others at the end of the turn", (_, bytes, frames) => {
    const bench = inState("open");
    bench.written(); // Hello
    bench.wakes.length = 0;
    const payload = new Uint8Array(bytes);
    for (let i = 0; i < frames; i++) {
      expect(bench.wakes).toEqual(i === 0 ? [] : [false]);
      bench.session.send({
        kind: "data",
        call: 1,
        payload,
        end: false,
        headers: undefined,
        size: 0,
        resumeToken: "",
      });
    }
    expect(bench.wakes).toEqual([false, true]);
    expect(bench.written()).toHaveLength(1);
  });

  it("acknowledges at once after 64 packets, otherwise after the delay, and with whatever goes out", () => {
    const bench = inState("open");
    bench.written();
    for (let seq = 1; seq <= 63; seq++) bench.session.receive(bytes([cancel(1)], seq), 0);
    expect(bench.written(DEFAULT_SETTINGS.ackDelayMs - 1)).toEqual([]);
    bench.session.receive(bytes([cancel(1)], 64), 0);
    expect(bench.written()).toEqual([{ seq: 0, ack: 64, frames: [] }]);
    bench.session.receive(bytes([cancel(1)], 65), 1_000);
    expect(bench.written(1_000)).toEqual([]);
    expect(bench.session.deadline()).toBe(1_000 + DEFAULT_SETTINGS.ackDelayMs);
    expect(bench.written(1_000 + DEFAULT_SETTINGS.ackDelayMs)).toEqual([{ seq: 0, ack: 65, frames: [] }]);
    bench.session.receive(bytes([cancel(1)], 66), 2_000);
    bench.session.send(cancel(9));
    expect(bench.written(2_000)).toMatchObject([{ seq: 1, ack: 66 }]);
    expect(bench.written(9_000)).toEqual([]);
  });
});

describe("resuming", () => {
  it("sends again exactly what the other side has not got", () => {
    const bench = inState("open");
    bench.written();
    for (const call of [1, 3, 5]) {
      bench.session.send(cancel(call));
      bench.written();
    }
    bench.session.linkDown();
    bench.session.send(cancel(7)); // without a link it waits
    bench.session.linkUp(0, "token");
    const [hello] = bench.written();
    expect(hello?.frames[0]).toMatchObject({
      kind: "hello",
      mode: 2,
      session: ID,
      epoch: EPOCH,
      received: 0,
    });
    bench.session.receive(bytes([{ ...WELCOME, resumed: true, received: 1 }]), 0);
    const again = bench.written();
    expect(again.map(({ seq }) => seq)).toEqual([2, 3, 4]);
    expect(again.flatMap(({ frames }) => frames)).toMatchObject([{ call: 3 }, { call: 5 }, { call: 7 }]);
    expect(bench.events).toEqual(["open resumed=false resent=0", "open resumed=true resent=2"]);
  });

  it("begins anew when the server says so, and tells", () => {
    const bench = inState("open");
    bench.session.send(cancel(1));
    bench.written();
    bench.session.linkDown();
    bench.session.linkUp(0, "token");
    bench.session.receive(bytes([{ ...WELCOME, session: new Uint8Array(16).fill(8) }]), 0);
    expect(bench.events).toEqual(["open resumed=false resent=0", "lost", "open resumed=false resent=0"]);
    expect(bench.session.unackedPackets).toBe(0);
    bench.written();
    bench.session.send(cancel(1));
    expect(bench.written().map(({ seq }) => seq)).toEqual([1]);
  });

  it.each([0, 4])(
    "does not believe a server that received %d of packets 2 and 3, 1 being acknowledged",
    (heard) => {
      const bench = inState("open");
      for (const call of [1, 3, 5]) {
        bench.session.send(cancel(call));
        bench.written();
      }
      bench.session.receive(bytes([], 0, 1), 0);
      bench.session.linkDown();
      bench.session.linkUp(0, "token");
      expect(() => bench.session.receive(bytes([{ ...WELCOME, resumed: true, received: heard }]), 0)).toThrow(
        WireError,
      );
    },
  );

  it("is refused by a server when what the client claims cannot be", () => {
    const bench = new Bench("server");
    bench.session.accept(HELLO, false, 0);
    bench.session.send(cancel(2));
    bench.written();
    expect(bench.session.canResume({ ...HELLO, mode: 2, received: 1 })).toBe(true);
    expect(bench.session.canResume({ ...HELLO, mode: 2, received: 2 })).toBe(false);
    bench.session.receive(bytes([], 0, 1), 0);
    expect(bench.session.canResume({ ...HELLO, mode: 2, received: 0 })).toBe(false);
  });
});

describe("liveness", () => {
  const settings = {
    pingIntervalMs: 1_000,
    pingTimeoutMs: 500,
    ackTimeoutMs: 5_000,
    handshakeTimeoutMs: 300,
  };

  function open(): Bench {
    const bench = new Bench("client", settings);
    bench.session.linkUp(0, "");
    bench.session.receive(bytes([WELCOME]), 0);
    bench.written();
    bench.events.length = 0;
    return bench;
  }

  it("pings after silence, and cuts when that is not answered", () => {
    const bench = open();
    expect(bench.session.deadline()).toBe(1_000);
    bench.session.expire(999);
    expect(bench.written(999)).toEqual([]);
    bench.session.expire(1_000);
    expect(bench.written(1_000)).toMatchObject([{ seq: 0, frames: [{ kind: "ping", id: 1 }] }]);
    bench.session.expire(1_499);
    expect(bench.events).toEqual([]);
    bench.session.expire(1_500);
    expect(bench.events).toEqual([`cut ${CloseCode.silent}`]);
  });

  it("takes any bytes for a sign of life, and a pong for the round-trip time", () => {
    const bench = open();
    bench.session.expire(1_000);
    bench.written(1_000);
    bench.session.receive(bytes([cancel(1)], 1), 1_200);
    bench.session.receive(bytes([{ kind: "pong", id: 1 }]), 1_250);
    expect(bench.session.rttMs).toBe(250);
    bench.session.expire(1_600);
    expect(bench.events).toEqual([]);
    expect(bench.written(1_600).filter(({ frames }) => frames.some(({ kind }) => kind === "ping"))).toEqual(
      [],
    );
  });

  it("cuts a link that does not acknowledge", () => {
    const bench = open();
    bench.session.send(cancel(1));
    bench.written(100);
    for (let now = 500; now < 5_100; now += 500) {
      bench.session.receive(bytes([{ kind: "ping", id: now }]), now);
      bench.session.expire(now);
    }
    expect(bench.events).toEqual([]);
    bench.session.receive(bytes([{ kind: "ping", id: 1 }]), 5_099);
    bench.session.expire(5_100);
    expect(bench.events).toEqual([`cut ${CloseCode.silent}`]);
  });

  it("cuts a handshake that takes too long", () => {
    const bench = new Bench("client", settings);
    bench.session.linkUp(100, "");
    expect(bench.session.deadline()).toBe(400);
    bench.session.expire(400);
    expect(bench.events).toEqual([`cut ${CloseCode.handshakeTimeout}`]);
  });

  it("answers pings, and only the last of many", () => {
    const bench = open();
    for (const id of [1, 2, 3]) bench.session.receive(bytes([{ kind: "ping", id }]), 0);
    expect(bench.written()).toMatchObject([{ frames: [{ kind: "pong", id: 3 }] }]);
  });
});

describe("the outbox", () => {
  it("says when it is full, and when there is room again", () => {
    const bench = new Bench("client", { outboxBytes: 256 * 1024 });
    bench.session.linkUp(0, "");
    bench.session.receive(bytes([WELCOME]), 0);
    bench.written();
    let sent = 0;
    while (bench.session.writable) {
      const payload = new Uint8Array(60_000);
      bench.session.send({
        kind: "data",
        call: 1,
        end: false,
        size: 0,
        headers: undefined,
        resumeToken: "",
        payload,
      });
      bench.written();
      sent++;
    }
    expect(sent).toBe(5);
    expect(bench.session.bufferedBytes).toBeLessThan(256 * 1024 + 65_536);
    bench.session.receive(bytes([], 0, 2), 0);
    expect(bench.session.writable).toBe(true);
  });
});
