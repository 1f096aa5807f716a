// Following who is there, on two nodes: given up and begun anew while nodes cannot be reached, and begun before there were any.
import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { PresenceEventSchema } from "../../gen/hawser/v1/presence_pb.js";
import type { Bus } from "../../src/broker/bus.js";
import { createMemoryBuses } from "../../src/broker/memory-bus.js";
import { createVirtualClock } from "../../src/testing/clock.js";
import { Presence } from "../../src/topics/presence.js";
import type { PresenceFeed } from "../../src/topics/presence-feed.js";

function world() {
  const clock = createVirtualClock();
  const buses = createMemoryBuses({
    defer: (task) => clock.schedule(task, 0),
    after: (ms, task) => clock.schedule(task, ms),
  });
  const presence = (epoch: string) =>
    new Presence({
      epoch,
      clock: () => clock.now(),
      wallClock: () => clock.now(),
      after: (ms, task) => clock.schedule(task, ms),
      onError: (error) => {
        throw error;
      },
    });
  const session = (id: string) => ({ id, identity: { id } });
  return {
    clock,
    here: presence("here"),
    there: presence("there"),
    bus: buses.join("here"),
    other: buses.join("there"),
    session,
  };
}

/** Follows a topic; gives who came, as they are told. */
function followed(presence: Presence): { readonly joined: string[]; readonly feed: Promise<PresenceFeed> } {
  const joined: string[] = [];
  const feed = presence.follow("room", {
    onPublication: ({ payload }) => {
      for (const { session } of fromBinary(PresenceEventSchema, payload).joined) joined.push(session);
    },
    onGap: () => undefined,
    onLive: () => undefined,
  });
  return { joined, feed };
}

describe("the presence of a topic", () => {
  it("is told to whoever follows it anew while an earlier following is still on its way", async () => {
    const { clock, here, there, bus, other, session } = world();
    // Other nodes cannot be reached: that they know who listens takes its time.
    const known: (() => void)[] = [];
    let listening = 0;
    const slow: Bus = new Proxy(bus, {
      get(target, property) {
        if (property !== "listen") {
          const value: unknown = Reflect.get(target, property);
          return typeof value === "function" ? value.bind(target) : value;
        }
        return (...args: Parameters<Bus["listen"]>) => {
          const listener = bus.listen(...args);
          listening++;
          const close = () => {
            listening--;
            listener.close();
          };
          return { close, ready: new Promise<void>((resolve) => known.push(resolve)) };
        };
      },
    });
    here.connect(slow);
    there.connect(other);
    const before = listening;
    const first = followed(here);
    const second = followed(here);
    for (const resolve of known) resolve();
    await clock.advance(10);
    // As the hub does with what it no longer wants.
    (await first.feed).close();
    await second.feed;
    there.join("room", session("ada"), {});
    await clock.advance(10);
    expect(second.joined).toEqual(["ada"]);
    (await second.feed).close();
    expect(listening).toBe(before);
    here.close();
    there.close();
  });

  it("is told by other nodes, too, when it was followed before there were any", async () => {
    const { clock, here, there, bus, other, session } = world();
    there.connect(other);
    there.join("room", session("ada"), {});
    const early = followed(here);
    await early.feed;
    here.connect(bus);
    await clock.advance(10);
    expect(early.joined).toEqual(["ada"]);
    there.join("room", session("bob"), {});
    await clock.advance(10);
    expect(early.joined).toEqual(["ada", "bob"]);
    here.close();
    there.close();
  });
});
