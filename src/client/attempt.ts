import type { Dial, DialFailure } from "./platform.js";
import type { Proof } from "./proof.js";

/** An attempt to find a link, and the link that it finds. */
export interface Attempt {
  token: string;
  readonly overHttp: boolean;
  /** Why there is no WebSocket, where one was tried first. */
  readonly before?: DialFailure;
  /** What its link says is heard while this is the number of what the dialler wants; never, where there is none. */
  generation?: number | undefined;
  /** Hears what the WebSocket of a probe says, until that has answered. */
  proof?: Proof | undefined;
  dial?: Dial | undefined;
}
