import type { Connection } from "../../client/browser.js";
import { time } from "../format.js";
import type { DownTime } from "./chart.js";
import { element } from "./dom.js";
import type { RowCounter } from "./row-counter.js";

/** The state of the connection, and what it has been through. */
export interface LinkView {
  /** When the link was down; grows while the page is open. */
  readonly downTimes: readonly DownTime[];
  /** Shows how the numbers of the readings stand. */
  showRow(row: RowCounter): void;
}

/** Follows a connection. `onDownTime` is called whenever the link goes down or comes back. */
export function createLinkView(connection: Connection, onDownTime: () => void): LinkView {
  const downTimes: DownTime[] = [];
  const total = { resumes: 0, resent: 0 };
  const backUp = (downMs: number) => {
    element("down").textContent = time(downMs);
    onDownTime();
  };

  connection.on("state", ({ state }) => {
    const pill = element("state");
    pill.textContent = state;
    pill.dataset["state"] = state;
    const now = Date.now() / 1_000;
    const last = downTimes.at(-1);
    if (state === "open" && last !== undefined) last.to ??= now;
    if (state === "reconnecting") downTimes.push({ from: now });
    onDownTime();
  });
  connection.on("resumed", ({ resent, downMs }) => {
    total.resumes += 1;
    total.resent += resent;
    element("resumes").textContent = String(total.resumes);
    element("resent").textContent = String(total.resent);
    backUp(downMs);
  });
  connection.on("lost", ({ downMs }) => {
    showTrouble("The server no longer knew this session (it was restarted?). The calls begin anew.");
    backUp(downMs);
  });
  connection.on("closed", ({ code, reason }) => {
    showTrouble(
      `The connection is closed for good: ${reason || "no reason given"} (${code}). Reload to try again.`,
    );
  });

  return {
    downTimes,
    showRow(row) {
      element("readings").textContent = String(row.received);
      for (const fault of ["missing", "doubled"] as const) {
        element(fault).textContent = String(row[fault]);
        element(fault).classList.toggle("wrong", row[fault] > 0);
      }
    },
  };
}

/** Shows a sentence about what went wrong; `""` takes it away. */
export function showTrouble(text: string): void {
  const trouble = element("trouble");
  trouble.textContent = text;
  trouble.hidden = text === "";
}

/** Makes the button ask the server to break the TCP connection of the link with this id. */
export function offerCut(linkId: string): void {
  element("cut").addEventListener("click", async () => {
    // Over HTTP, beside the link: the server is to break it like a bad network, without a word to the client.
    const answer = await fetch(`/cut?link=${linkId}`, { method: "POST" }).catch(() => undefined);
    if (answer?.status === 404) showTrouble("There is no link to cut at the moment.");
    else showTrouble(answer === undefined ? "The server does not answer." : "");
  });
}
