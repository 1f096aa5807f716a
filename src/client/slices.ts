import type { Slices } from "../base/slices.js";
import type { LinkEvents } from "../driver/link.js";

/**
 * Longest time that messages are handed out without a break, in milliseconds: a page that is painted 60 times a second has
 * 16 for everything, and painting comes first.
 */
const SLICE_MS = 5;

let shared: Slices | undefined;

/**
 * Slices of the page that this script is in, the same for all its connections; `undefined` where nothing is painted, as in
 * workers.
 */
export function pageSlices(): Slices | undefined {
  if (!("document" in globalThis) || typeof MessageChannel === "undefined") return undefined;
  shared ??= channelSlices(() => performance.now());
  return shared;
}

/**
 * Turns are messages of a channel. Browsers let painting and input go between them; unlike timers, they come at once and
 * go on in pages that are hidden.
 */
function channelSlices(clock: () => number): Slices {
  const tasks: (() => void)[] = [];
  const { port1, port2 } = new MessageChannel();
  let beganAt = -1;
  let posted = false;
  const post = () => {
    if (posted) return;
    posted = true;
    port2.postMessage(undefined);
  };
  port1.onmessage = () => {
    posted = false;
    beganAt = -1;
    // One at a time: what users do with a message comes behind the task that hands it out, and counts too.
    const task = tasks.shift();
    if (tasks.length > 0) post();
    task?.();
  };
  // In the DOMs of test runners, which are Node's processes, and are to end.
  (port1 as { unref?: () => void }).unref?.();
  return {
    isSpent() {
      const now = clock();
      if (beganAt >= 0) return now - beganAt >= SLICE_MS;
      beganAt = now;
      post();
      return false;
    },
    next(task) {
      tasks.push(task);
      post();
    },
  };
}

/**
 * Events of a link whose messages wait for turns of their own once a slice is spent: browsers let what comes over a network
 * go before painting, for a tenth of a second and more. What waits is bounded by credit, as what waits for its reader is.
 */
export function slicedEvents(events: LinkEvents, slices: Slices | undefined): LinkEvents {
  if (slices === undefined) return events;
  const backlog: Uint8Array[] = [];
  const handOut = () => {
    const bytes = backlog.shift();
    if (bytes === undefined) return;
    if (backlog.length > 0) slices.next(handOut);
    events.onMessage(bytes);
  };
  return {
    onMessage(bytes) {
      if (backlog.length === 0 && !slices.isSpent()) events.onMessage(bytes);
      else if (backlog.push(bytes) === 1) slices.next(handOut);
    },
    onText: () => events.onText(),
    onDrain: () => events.onDrain(),
    onClose(code, reason) {
      try {
        // They came before the end.
        for (const bytes of backlog.splice(0)) events.onMessage(bytes);
      } finally {
        events.onClose(code, reason);
      }
    },
  };
}
