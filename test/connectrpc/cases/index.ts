// What a Connect application can do with a call, one case each: the routes, and a client that makes calls.

import { bidirectional } from "./bidirectional.js";
import type { Case } from "./case.js";
import { clientStreaming } from "./client-streaming.js";
import { interceptors } from "./interceptors.js";
import { routing } from "./routing.js";
import { serverStreaming } from "./server-streaming.js";
import { unary } from "./unary.js";

/** All cases, by what they are about. */
export const cases: Readonly<Record<string, readonly Case[]>> = {
  unary,
  "server streaming": serverStreaming,
  "client streaming": clientStreaming,
  bidirectional,
  interceptors,
  routing,
};
