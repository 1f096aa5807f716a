import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** How many of these objects something still holds, once all garbage is collected. */
export async function stillHeld(objects: readonly WeakRef<object>[]): Promise<number> {
  let held = objects.length;
  for (let round = 0; round < 10; round++) {
    // A WeakRef holds its object until the turn in which it was looked at is over.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    const now = objects.filter((object) => object.deref() !== undefined).length;
    if (now === held) break;
    held = now;
  }
  return held;
}
