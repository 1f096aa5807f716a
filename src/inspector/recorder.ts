import type { Clock } from "../base/clock.js";
import type {
  CallInfo,
  CallObserver,
  LimitEvent,
  LinkInfo,
  Observer,
  Refused,
  SessionEvent,
} from "../base/observer.js";
import { CallLog } from "./call-log.js";
import { SessionLog } from "./session-log.js";

/**
 * Follows a server, for whoever looks at it later. It must cost next to nothing: it is called for every call. Its methods may be
 * called by themselves.
 */
export class Recorder implements Observer {
  readonly calls: CallLog;
  readonly sessions: SessionLog;
  readonly #unrecorded: string;

  /**
   * @param unrecorded a service whose calls are not recorded: that of the inspector itself
   * @param callsKept ended calls that are kept
   */
  constructor(unrecorded: string, callsKept: number, clock: Clock, wallClock: Clock) {
    this.#unrecorded = unrecorded;
    this.calls = new CallLog(callsKept, clock);
    this.sessions = new SessionLog(wallClock);
  }

  readonly callStarted = (call: CallInfo): CallObserver | undefined =>
    call.method.parent.typeName === this.#unrecorded ? undefined : this.calls.start(call);

  readonly linkOpened = (link: LinkInfo): void => this.sessions.linkOpened(link);

  readonly linkClosed = (link: LinkInfo): void => this.sessions.linkClosed(link);

  readonly session = (event: SessionEvent): void => this.sessions.session(event);

  readonly refused = (refused: Refused): void => this.sessions.refused(refused);

  readonly limited = (event: LimitEvent): void => this.sessions.limited(event);
}
