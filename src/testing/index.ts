export { createVirtualClock, type VirtualClock } from "./clock.js";
export {
  type BreakKind,
  createFaultProxy,
  type FaultProxy,
  type FaultProxyOptions,
  type PlannedBreak,
  type ProxyBehaviour,
  type ProxyTarget,
} from "./fault-proxy.js";
export { createNetwork, type Direction, type Network, type NetworkOptions } from "./network.js";
export { createPair, type Pair, type PairOptions } from "./pair.js";
export { seededRandom } from "./random.js";
