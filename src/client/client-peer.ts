import { uuidV7 } from "../idempotency/key.js";
import type { Retrier } from "../retry/retrier.js";
import { createTransport } from "../retry/transport.js";
import { createAnswerer } from "../rpc/answer.js";
import { Peer, type PeerEvents } from "../rpc/peer.js";
import { Pace } from "../session/pace.js";
import { PacketEncoder } from "../wire/encode.js";
import type { ConnectSettings } from "./options.js";
import type { Platform } from "./platform.js";

/** Name and version for the server's logs. */
const AGENT = "hawser-js/0.1";

/** All connections of a process are read and written by one event loop. */
const pace = new Pace();

/** Makes a client's end of a session, with all that its calls need. */
export function createPeer(
  settings: ConnectSettings,
  platform: Platform,
  retrier: Retrier,
  events: PeerEvents,
): Peer {
  const newKey = () => uuidV7(platform.wallClock(), platform.randomBytes);
  return new Peer({
    role: "client",
    settings: settings.session,
    encoder: new PacketEncoder(platform.allocate),
    calls: {
      role: "client",
      clock: platform.clock,
      limits: settings.session.limits,
      maxWaitingCalls: settings.maxWaitingCalls,
      maxWaitMs: settings.maxWaitMs,
      outboxWaitMs: settings.session.outboxWaitMs,
      slices: platform.slices,
      pace,
      answerer: createAnswerer({
        routes: settings.routes,
        interceptors: settings.handlerInterceptors,
        onHandlerError: settings.onHandlerError,
        // Keys are for what servers do.
        guard: undefined,
        observer: settings.observer,
      }),
    },
    createTransport: (calls) =>
      createTransport({ calls, retrier, newKey, observer: settings.observer }, settings.interceptors),
    agent: AGENT,
    events,
  });
}
