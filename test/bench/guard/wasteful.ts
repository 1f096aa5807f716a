// Hawser with a client that allocates for each call what nobody needs.
import type { Contender } from "../../../src/bench/contender.js";
import { createWrapped } from "./wrapped.js";

/** As the contender that is compared with, but for one thing. */
export function create(variant: string): Contender {
  return createWrapped(variant, 100);
}
