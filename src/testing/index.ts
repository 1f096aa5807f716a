export { createVirtualClock, type VirtualClock } from "./clock.js";
export {
  createFaultProxy,
  type FaultProxy,
  type FaultProxyOptions,
  type ProxyBreak,
  type ProxyTarget,
} from "./fault-proxy.js";
export { createNetwork, type Direction, type Network, type NetworkOptions } from "./network.js";
export { createPair, type Pair, type PairOptions } from "./pair.js";
export type {
  BreakKind,
  PlannedBreak,
  PlannedFault,
  ProxyBehaviour,
  WayBehaviour,
} from "./proxy-faults.js";
export { seededRandom } from "./random.js";
