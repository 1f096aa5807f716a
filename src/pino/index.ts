import { Code, codeName } from "../base/code.js";
import type { LinkInfo, Observer } from "../base/observer.js";

/** What is used of a pino logger; any version fits. */
export interface PinoLike {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What {@link pinoObserver} takes beside its logger. */
export interface PinoOptions {
  /**
   * A limit that is met again and again is logged once in so many milliseconds, with how often it was met since. Default
   * 10,000: an attack must not fill the disk.
   */
  readonly limitEveryMs?: number;
}

/** So many sessions that have ended are remembered until their links end, too. */
const MAX_ENDED = 10_000;

/** Statuses that say that a handler is at fault. */
const FAULTS: readonly Code[] = [Code.Unknown, Code.Internal, Code.DataLoss];

/**
 * An observer that writes structured logs: one line for each link that ends, with session, identity, duration, close code,
 * bytes and resumes; connections that were turned away, limits that were met, sessions that were evicted; and calls whose
 * handler was at fault. Never messages, metadata, credentials, or the query of a URL.
 */
export function pinoObserver(logger: PinoLike, options: PinoOptions = {}): Observer {
  const { limitEveryMs = 10_000 } = options;
  const resumes = new Map<string, number>();
  /** The same of sessions that ended a moment ago: a link that the server closes ends after its session. */
  const ended = new Map<string, number>();
  const limits = new Map<string, { at: number; more: number }>();

  return {
    linkOpened(link) {
      logger.debug({ side: link.side, address: addressOf(link) }, "link opened");
    },
    linkClosed(link, { code, reason, durationMs }) {
      const { side, sessionId, identity, traffic, rtt } = link;
      const fields = {
        side,
        sessionId,
        identity,
        address: addressOf(link),
        durationMs: Math.round(durationMs),
        code,
        reason,
        ...traffic,
        rttMs: rtt,
        resumes: sessionId === undefined ? undefined : (resumes.get(sessionId) ?? ended.get(sessionId) ?? 0),
      };
      ended.delete(sessionId ?? "");
      logger.info(fields, "link closed");
    },
    refused({ address, status, reason }) {
      logger.warn({ address, status, reason }, "connection refused");
    },
    session({ sessionId, identity, what, downMs, reason }) {
      const count = resumes.get(sessionId) ?? 0;
      if (what === "resumed") resumes.set(sessionId, count + 1);
      if (what === "ended" && resumes.delete(sessionId)) {
        ended.set(sessionId, count);
        // Links may have ended before, or be those of other nodes.
        const [oldest = ""] = ended.keys();
        if (ended.size > MAX_ENDED) ended.delete(oldest);
      }
      if (what === "evicted") logger.warn({ sessionId, identity, limit: reason, downMs }, "session evicted");
    },
    callStarted: ({ side, name, sessionId, identity }) =>
      side === "caller"
        ? undefined
        : {
            ended({ code, error, durationMs }) {
              if (code === 0 || !FAULTS.includes(code)) return;
              const fields = {
                method: name,
                code: codeName(code),
                sessionId,
                identity,
                durationMs: Math.round(durationMs),
              };
              logger.error({ ...fields, error: error?.rawMessage }, "call failed");
            },
          },
    limited({ limit, identity, address }) {
      const now = Date.now();
      const last = limits.get(limit);
      if (last !== undefined && now - last.at < limitEveryMs) {
        last.more++;
        return;
      }
      limits.set(limit, { at: now, more: 0 });
      logger.warn({ limit, identity, address, more: last?.more ?? 0 }, "limit met");
    },
  };
}

/** A client knows its server by a URL, whose query may hold a token. */
function addressOf({ address }: LinkInfo): string | undefined {
  return address?.split("?", 1)[0];
}
