export { createVirtualClock, type VirtualClock } from "./clock.js";
export { createNetwork, type Direction, type Network, type NetworkOptions } from "./network.js";
export { createPair, type Pair, type PairOptions } from "./pair.js";
export { seededRandom } from "./random.js";
