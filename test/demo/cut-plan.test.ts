import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { bytesThrough, type Cut, cutByPlan, planCuts } from "../../src/demo/cut-plan.js";
import { createFaultProxy, type FaultProxy, seededRandom } from "../../src/testing/index.js";

test("a plan is the same for the same seed, in order, and stalls once", () => {
  for (let seed = 0; seed < 200; seed++) {
    const plan = planCuts(5, 1_000_000, seededRandom(seed));
    expect(planCuts(5, 1_000_000, seededRandom(seed))).toEqual(plan);
    expect(plan.filter((cut) => cut.kind === "stall").length).toBe(1);
    const positions = plan.map((cut) => cut.atByte);
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
    expect(positions[0]).toBeGreaterThan(0);
    expect(positions.at(-1)).toBeLessThan(1_000_000);
  }
  expect(planCuts(0, 1_000_000, seededRandom(1))).toEqual([]);
  expect(planCuts(5, 1_000_000, seededRandom(1))).not.toEqual(planCuts(5, 1_000_000, seededRandom(2)));
});

test("cuts fall on their byte, counted over all connections", async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined).resume();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const cuts: Cut[] = [];
  const plan = [
    { kind: "end", atByte: 100_003 },
    { kind: "stall", atByte: 250_001 },
    { kind: "reset", atByte: 250_002 },
  ] as const;
  const link: FaultProxy = await createFaultProxy({
    target: { port: (server.address() as AddressInfo).port },
    ...cutByPlan(
      plan,
      () => link,
      (cut) => cuts.push(cut),
    ),
  });
  for (let made = 0; made < plan.length; made++) {
    const client = connect(link.port, "127.0.0.1");
    client.on("error", () => undefined).resume();
    client.write(Buffer.alloc(200_000));
    while (cuts.length === made) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  // The plan is at its end: this one holds.
  const client = connect(link.port, "127.0.0.1").resume();
  client.write(Buffer.alloc(200_000));
  while (bytesThrough(link).up < 450_002) await new Promise((resolve) => setTimeout(resolve, 2));
  expect(cuts).toEqual([
    { number: 1, kind: "end", up: 100_003, down: 0 },
    { number: 2, kind: "stall", up: 250_001, down: 0 },
    { number: 3, kind: "reset", up: 250_002, down: 0 },
  ]);
  expect(link.live).toBe(2);
  await link.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});
