import type { Bus } from "../../src/broker/bus.js";
import { createMemoryBuses, type MemoryBus, type MemoryBuses } from "../../src/broker/memory-bus.js";
import type { MemoryBusesInit } from "../../src/broker/memory-network.js";
import type { Broker } from "../../src/server/index.js";
import { memoryBroker } from "../../src/server/index.js";

/** Topics of each node by itself, and a bus between nodes that are all in this process. */
export function busBroker(
  buses: MemoryBuses,
): Broker & { readonly bus: Bus | undefined; member(): MemoryBus } {
  const topics = memoryBroker();
  let bus: MemoryBus | undefined;
  return {
    get bus() {
      return bus;
    },
    member: () => bus as MemoryBus,
    async start(host) {
      bus = buses.join(host.node);
      await topics.start(host);
    },
    follow: (topic, events) => topics.follow(topic, events),
    publish: (topic, payload, key, id) => topics.publish(topic, payload, key, id),
    async close() {
      bus?.close();
      await topics.close();
    },
  };
}

/** Buses on this process's timers. */
export function newBuses(options: Partial<MemoryBusesInit> = {}): MemoryBuses {
  return createMemoryBuses({
    ...options,
    goneAfterMs: 500,
    defer: (task) => setImmediate(task),
    after: (delayMs, task) => {
      const timer = setTimeout(task, delayMs);
      return () => clearTimeout(timer);
    },
  });
}
