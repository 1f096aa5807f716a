import { textBytes } from "../wire/text.js";

/** Credit that a message's resume token costs: its bytes on the wire, so that tokens are bounded as messages are. */
export function tokenCost(resumeToken: string): number {
  return resumeToken === "" ? 0 : textBytes(resumeToken);
}
