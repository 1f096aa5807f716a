import { CloseCode } from "../base/close.js";
import { pooled } from "../driver/entropy.js";
import { closeReason, type Link, type LinkEvents } from "../driver/link.js";
import type { EncodedPacket } from "../wire/encode.js";
import type { Platform } from "./platform.js";

/** A WebSocket of the platform does not tell when it has drained; while a lot is buffered it is asked this often. */
const DRAIN_POLL_MS = 10;

/** Above this, the owner waits for `onDrain`. */
const DRAIN_MARK_BYTES = 64 * 1024;

/** The platform of browsers, workers, Deno and Bun: their own WebSocket. */
export function webPlatform(): Platform {
  const page = globalThis as { document?: Document; navigator?: Navigator };
  return {
    clock: () => performance.now(),
    wallClock: Date.now,
    random: Math.random,
    randomBytes: pooled((into) => crypto.getRandomValues(into)),
    allocate: (bytes) => new Uint8Array(bytes),
    // Two turns of the microtask queue: calls that answers have just set off get into the same packet.
    defer: (task) => queueMicrotask(() => queueMicrotask(task)),
    dial(url, { subprotocols }, events, onOpen, onFailure) {
      let link: Link | undefined;
      let aborted = false;
      const ws = new WebSocket(url, [...subprotocols]);
      ws.binaryType = "arraybuffer";
      ws.onopen = () => {
        if (aborted) return;
        link = webLink(ws, events);
        onOpen(link);
      };
      ws.onclose = (event) => {
        if (aborted || link !== undefined) return;
        onFailure({
          code: event.code === 0 ? CloseCode.abnormal : event.code,
          reason: event.reason || "cannot connect",
        });
      };
      return {
        abort() {
          aborted = true;
          ws.close();
        },
      };
    },
    mayConnect: () => page.navigator?.onLine !== false && page.document?.visibilityState !== "hidden",
    onMayConnect(listener) {
      const { document } = page;
      globalThis.addEventListener?.("online", listener);
      document?.addEventListener("visibilitychange", listener);
      return () => {
        globalThis.removeEventListener?.("online", listener);
        document?.removeEventListener("visibilitychange", listener);
      };
    },
  };
}

function webLink(ws: WebSocket, events: LinkEvents): Link {
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
  ws.onmessage = (event: MessageEvent<ArrayBuffer | string>) => {
    if (closed) return;
    if (typeof event.data === "string") events.onText();
    else events.onMessage(new Uint8Array(event.data));
  };
  ws.onclose = (event) => {
    closed = true;
    clearTimeout(poll);
    events.onClose(event.code, event.reason);
  };
  return {
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
    close(code: number, reason: string) {
      // Browsers let a page send 1000 and 3000 to 4999 only (WHATWG WebSockets, close()).
      ws.close(code === CloseCode.normal || code >= 3000 ? code : 4000 + (code % 1000), closeReason(reason));
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
