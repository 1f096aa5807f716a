import { CloseCode } from "../base/close.js";
import { pooled } from "../driver/entropy.js";
import { closeReason, type Link, type LinkEvents } from "../driver/link.js";
import type { HttpLink } from "../fallback/client-link.js";
import type { EncodedPacket } from "../wire/encode.js";
import { lazyDial } from "./lazy-dial.js";
import { isPageActive, watchPage } from "./page.js";
import type { Platform } from "./platform.js";
import { pageSlices, slicedEvents } from "./slices.js";

/** A WebSocket of the platform does not tell when it has drained; while a lot is buffered it is asked this often. */
const DRAIN_POLL_MS = 10;

/** Above this, the owner waits for `onDrain`. */
const DRAIN_MARK_BYTES = 64 * 1024;

/** The platform of browsers, workers, Deno and Bun: their own WebSocket. */
export function webPlatform(maxPacketBytes: number): Platform {
  const slices = pageSlices();
  /** Gives up the link, or the attempt to open one. */
  let giveUp: ((reason: string) => void) | undefined;
  /** The same over HTTP, beside which a WebSocket may be tried. */
  let giveUpHttp: ((reason: string) => void) | undefined;
  const onLeave = (reason: string) => {
    giveUp?.(reason);
    giveUpHttp?.(reason);
  };
  const dialHttp = lazyDial(async () => (await import("../fallback/web.js")).webDialler(maxPacketBytes));
  return {
    clock: () => performance.now(),
    wallClock: Date.now,
    random: Math.random,
    randomBytes: pooled((into) => crypto.getRandomValues(into)),
    allocate: (bytes) => new Uint8Array(bytes),
    // Two turns of the microtask queue: calls that answers have just set off get into the same packet.
    defer: (task) => queueMicrotask(() => queueMicrotask(task)),
    slices,
    dial(url, { subprotocols }, events, onOpen, onFailure) {
      let over = false;
      const ws = new WebSocket(url, [...subprotocols]);
      ws.binaryType = "arraybuffer";
      const fail = (code: number, reason: string) => {
        if (over) return;
        over = true;
        onFailure({ code, reason });
      };
      ws.onopen = () => {
        if (over) return;
        over = true;
        const link = webLink(ws, slicedEvents(events, slices));
        giveUp = link.giveUp;
        onOpen(link);
      };
      ws.onclose = ({ code, reason }) =>
        fail(code === 0 ? CloseCode.abnormal : code, reason || "cannot connect");
      giveUp = (reason) => {
        ws.close();
        fail(CloseCode.goingAway, reason);
      };
      return {
        abort() {
          over = true;
          ws.close();
        },
      };
    },
    dialHttp(url, request, events, onOpen, onFailure) {
      const onLink = (link: HttpLink) => {
        giveUpHttp = (reason) => link.giveUp(reason);
        onOpen(link);
      };
      return dialHttp(url, request, slicedEvents(events, slices), onLink, onFailure);
    },
    mayConnect: isPageActive,
    onMayConnect: (onReturn) => watchPage({ onReturn, onLeave }),
  };
}

interface WebLink extends Link {
  /** Closes the link, and says at once that it is gone. */
  giveUp(reason: string): void;
}

function webLink(ws: WebSocket, events: LinkEvents): WebLink {
  let closed = false;
  let poll: ReturnType<typeof setTimeout> | undefined;
  const watchDrain = () => {
    if (poll !== undefined || closed || ws.bufferedAmount < DRAIN_MARK_BYTES) return;
    poll = setTimeout(() => {
      poll = undefined;
      if (ws.bufferedAmount < DRAIN_MARK_BYTES) events.onDrain();
      else watchDrain();
    }, DRAIN_POLL_MS);
  };
  const end = (code: number, reason: string) => {
    if (closed) return;
    clearTimeout(poll);
    closed = true;
    events.onClose(code, reason);
  };
  ws.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
    if (closed) return;
    if (typeof data === "string") return events.onText();
    events.onMessage(new Uint8Array(data));
  };
  ws.onclose = ({ code, reason }) => end(code, reason);
  /** Browsers let a page send 1000 and 3000 to 4999 only (WHATWG WebSockets, close()). */
  const close = (code: number, reason: string) =>
    ws.close(code === CloseCode.normal || code >= 3000 ? code : 4000 + (code % 1000), closeReason(reason));
  return {
    kind: "websocket",
    get bufferedBytes() {
      return ws.bufferedAmount;
    },
    send(packet: EncodedPacket) {
      if (ws.readyState !== ws.OPEN) return;
      ws.send(joined(packet));
      watchDrain();
    },
    cork() {
      // The platform writes when this task has ended.
    },
    uncork() {
      // See above.
    },
    close,
    giveUp(reason) {
      close(CloseCode.goingAway, reason);
      end(CloseCode.goingAway, reason);
    },
  };
}

function joined(packet: EncodedPacket): Uint8Array<ArrayBuffer> {
  if (packet.body === undefined) return packet.head as Uint8Array<ArrayBuffer>;
  const whole = new Uint8Array(packet.head.length + packet.body.length);
  whole.set(packet.head);
  whole.set(packet.body, packet.head.length);
  return whole;
}
