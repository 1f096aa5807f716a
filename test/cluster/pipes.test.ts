// Pipes between nodes that end at moments when nobody listens to them yet, or never will.
import { describe, expect, it } from "vitest";
import type { Bus } from "../../src/broker/bus.js";
import { createMemoryBuses } from "../../src/broker/memory-bus.js";
import { Timers } from "../../src/driver/timers.js";
import type { Pipe } from "../../src/server/cluster/pipe.js";
import { Pipes } from "../../src/server/cluster/pipes.js";
import { createVirtualClock, type VirtualClock } from "../../src/testing/clock.js";

interface World {
  readonly clock: VirtualClock;
  readonly here: Pipes;
  readonly there: Pipes;
  readonly hereTimers: Timers;
}

/** Two nodes. `onOpen` takes what comes to the other one. */
function world(
  onOpen: (pipe: Pipe) => void,
  {
    here = same,
    there = same,
  }: { readonly here?: (bus: Bus) => Bus; readonly there?: (bus: Bus) => Bus } = {},
): World {
  const clock = createVirtualClock();
  const buses = createMemoryBuses({
    defer: (task) => clock.schedule(task, 0),
    after: (ms, task) => clock.schedule(task, ms),
  });
  const timers = () => new Timers(() => clock.now(), clock.schedule);
  const hereTimers = timers();
  return {
    clock,
    hereTimers,
    here: new Pipes(here(buses.join("here")), hereTimers, () => undefined),
    there: new Pipes(there(buses.join("there")), timers(), (_, pipe) => void onOpen(pipe)),
  };
}

const same = (bus: Bus) => bus;
const PURPOSE = { case: "session", value: "s" } as const;

/** A bus with one method that is another. */
function changed<Name extends keyof Bus>(bus: Bus, name: Name, method: Bus[Name]): Bus {
  return new Proxy(bus, {
    get(target, property) {
      const value: unknown = property === name ? method : Reflect.get(target, property);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Listens to a pipe; gives what it says. */
function heard(pipe: Pipe): string[] {
  const said: string[] = [];
  pipe.listen({
    onMessage: (bytes) => said.push(`message ${bytes}`),
    onDrain: () => undefined,
    onClose: (code, reason) => said.push(`close ${code} ${reason}`),
  });
  return said;
}

describe("a pipe", () => {
  it("that has ended before somebody listens tells so, behind what it has brought", async () => {
    const { clock, here } = world((pipe) => {
      pipe.pass(new Uint8Array([1]), false);
      pipe.close(4_000, "overtaken");
    });
    const opening = here.open("there", PURPOSE);
    await clock.advance(10);
    const said = heard((await opening) as Pipe);
    expect(said).toEqual(["message 1", "close 4000 overtaken"]);
    expect(here.size).toBe(0);
  });

  it("is closed at the other end, too, when whoever opened it has given up on the answer", async () => {
    const ends: string[][] = [];
    const mute = (bus: Bus) =>
      changed(bus, "listen", (address, onMessage) =>
        bus.listen(
          address,
          // What it does is done, and the answer is lost.
          address.at(-1) === "open"
            ? ({ payload, rest }) => onMessage({ payload, rest, reply: () => undefined })
            : onMessage,
        ),
      );
    const { clock, here, there } = world((pipe) => void ends.push(heard(pipe)), { there: mute });
    const opening = expect(here.open("there", PURPOSE)).rejects.toThrow("no answer within 3000 ms");
    await clock.advance(2_900);
    expect(there.size).toBe(1);
    await clock.advance(200);
    await opening;
    expect(there.size).toBe(0);
    expect(ends).toEqual([[expect.stringMatching(/^close /)]]);
  });

  it("that was the last one leaves no timer, whatever has ended it", async () => {
    const lossy = (bus: Bus) => changed(bus, "send", () => undefined);
    const { clock, here, hereTimers } = world((pipe) => void heard(pipe), { here: lossy });
    const opening = here.open("there", PURPOSE);
    await clock.advance(10);
    const pipe = (await opening) as Pipe;
    const said = heard(pipe);
    pipe.pass(new Uint8Array([1]), false);
    await clock.advance(10_000);
    expect(said).toEqual([expect.stringContaining("a message between two nodes was lost")]);
    expect(here.size).toBe(0);
    expect(hereTimers.size).toBe(0);
  });
});
