// What the wasteful client is compared with: the same calls through the same wrapper, and nothing is wasted.
import type { Contender } from "../../../src/bench/contender.js";
import { createWrapped } from "./wrapped.js";

export function create(variant: string): Contender {
  return createWrapped(variant, 0);
}
