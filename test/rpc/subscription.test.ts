// The client's end of a topic, frame by frame.

import { beforeEach, describe, expect, it } from "vitest";
import type { CallingCall } from "../../src/rpc/call-table.js";
import { Held } from "../../src/rpc/held.js";
import { Receiver } from "../../src/rpc/receiver.js";
import { Subscription } from "../../src/rpc/subscription.js";
import type { TopicGap } from "../../src/rpc/topic.js";
import type { AttachedFrame, PositionFrame, PublicationFrame } from "../../src/wire/frame.js";

const WINDOW = 1_000;

class Bench {
  readonly sent: PositionFrame[] = [];
  readonly gaps: TopicGap[] = [];
  readonly receiver = new Receiver(WINDOW, 10_000, new Held(Number.POSITIVE_INFINITY));
  readonly subscription: Subscription;

  constructor(resumeToken = "") {
    const call = {
      sender: { id: 5 },
      receiver: this.receiver,
      resumeToken,
      topic: { onGap: (gap: TopicGap) => this.gaps.push(gap) },
      openGap: undefined,
      received: () => undefined,
      starved: (reason: string) => {
        throw new Error(reason);
      },
    } as unknown as CallingCall;
    this.subscription = new Subscription(
      {
        window: WINDOW,
        messageBytes: 10_000,
        numbered: () => undefined,
        send: (frame) => this.sent.push(frame),
        left: () => undefined,
      },
      call,
    );
    this.receiver.tracker = this.subscription;
  }

  attached(fields: Partial<AttachedFrame>): void {
    const nothing = {
      call: 5,
      topic: 1,
      epoch: "e",
      offset: 0,
      answers: 0,
      gap: 0,
      asks: false,
      stale: false,
    };
    this.subscription.attached({ kind: "attached", ...nothing, ...fields });
  }

  publish(offset: number, fields: Partial<PublicationFrame> = {}): void {
    const payload = Uint8Array.of(offset);
    this.subscription.publication({
      kind: "publication",
      topic: 1,
      offset,
      step: 1,
      size: 0,
      payload,
      ...fields,
    });
  }

  /** First bytes of the messages that can be read now. */
  read(): number[] {
    const all: number[] = [];
    for (let message = this.receiver.shift(); message !== undefined; message = this.receiver.shift()) {
      all.push(message[0] as number);
      this.subscription.giveRoom();
    }
    return all;
  }
}

let bench: Bench;

beforeEach(() => {
  bench = new Bench();
  bench.attached({ offset: 6 });
});

describe("a subscription", () => {
  it("takes each publication once, in order", () => {
    bench.publish(7);
    bench.publish(7);
    bench.publish(8);
    bench.publish(6);
    expect(bench.read()).toEqual([7, 8]);
    expect(bench.subscription.token).toBe("e:8");
    expect(bench.sent).toEqual([]);
  });

  it("says where it is when something is missing, and takes nothing until that is answered", () => {
    bench.publish(7);
    bench.publish(9);
    expect(bench.sent).toMatchObject([{ epoch: "e", offset: 7, id: 1, call: 5 }]);
    bench.publish(10);
    bench.publish(8);
    // What answers something else does not count.
    bench.attached({ offset: 9, answers: 0 });
    bench.publish(8);
    expect(bench.read()).toEqual([7]);
    bench.attached({ offset: 7, answers: 1 });
    bench.publish(8);
    bench.publish(9);
    expect(bench.read()).toEqual([8, 9]);
  });

  it("need not have had what came before where the topic conflates", () => {
    bench.publish(20, { step: 0 });
    bench.publish(30, { step: 0 });
    expect(bench.read()).toEqual([20, 30]);
    expect(bench.sent).toEqual([]);
  });

  it("answers who does not know where it is, once for each link", () => {
    bench.attached({ offset: 6, asks: true });
    bench.attached({ offset: 6, asks: true });
    expect(bench.sent).toMatchObject([{ offset: 6, id: 1 }]);
  });

  it("tells a gap behind the messages that came before it", () => {
    bench.publish(7);
    bench.attached({ offset: 20, gap: 2 });
    bench.publish(21);
    expect(bench.gaps).toEqual([]);
    expect(bench.read()).toEqual([7, 21]);
    expect(bench.gaps).toEqual([{ reason: "historyTooShort", from: "e:7", to: "e:20" }]);
    expect(bench.subscription.token).toBe("e:21");
  });

  it("tells a gap at once when there is nothing to be read before it, and keeps it for the message behind", () => {
    bench.attached({ epoch: "f", offset: 3, gap: 3 });
    expect(bench.gaps).toEqual([{ reason: "newEpoch", from: "e:6", to: "f:3" }]);
    expect(bench.subscription.openGap).toEqual(bench.gaps[0]);
    bench.publish(4);
    bench.receiver.shift();
    expect(bench.subscription.gap).toEqual(bench.gaps[0]);
    expect(bench.gaps).toHaveLength(1);
  });

  it("is not moved by news that nobody asked for", () => {
    bench.publish(7);
    bench.attached({ offset: 3, stale: true });
    bench.publish(7);
    bench.publish(8);
    expect(bench.read()).toEqual([7, 8]);
  });

  it("puts pieces together, and forgets those of a message that was replaced", () => {
    bench.publish(7, { size: 3, payload: Uint8Array.of(7, 0) });
    bench.publish(9, { step: 0, payload: Uint8Array.of(9) });
    expect(bench.read()).toEqual([9]);
    bench.publish(10, { size: 3, payload: Uint8Array.of(10, 0) });
    expect(bench.read()).toEqual([]);
    bench.publish(10, { payload: Uint8Array.of(1) });
    expect(bench.read()).toEqual([10]);
  });

  it("gives room back once half of the window was consumed", () => {
    for (let offset = 7; offset < 7 + 20; offset++) bench.publish(offset, { payload: new Uint8Array(20) });
    expect(bench.sent).toEqual([]);
    bench.read();
    // 36 bytes each, so 14 messages make half of the window.
    expect(bench.sent).toMatchObject([{ id: 0, room: 14 * 36 }]);
  });

  it("goes on behind the position that an earlier attempt has got to", () => {
    const later = new Bench("e:4");
    later.attached({ offset: 4 });
    expect(later.subscription.token).toBe("e:4");
    later.attached({ offset: 9, gap: 2 });
    expect(later.gaps).toEqual([{ reason: "historyTooShort", from: "e:4", to: "e:9" }]);
  });
});
