import { checkFunction, checkKeys } from "../base/check.js";
import type { Connection } from "../client/connection.js";
import { openConnection } from "../client/connector.js";
import { type ConnectOptions, checkUrl, resolveConnectOptions } from "../client/options.js";
import type { Platform } from "../client/platform.js";
import { webPlatform } from "../client/web.js";
import { LeaderSource } from "./leader-source.js";
import { newName, platformLocks } from "./locks.js";
import type { HostKind, HostSource, SourceEvents } from "./source.js";
import { Tab } from "./tab.js";
import { WorkerSource } from "./worker-source.js";

/** Options of {@link connectTabs}: those of `connect`, and how to share. */
export interface TabsOptions
  extends Omit<ConnectOptions, "credentialsIn" | "headers" | "tls" | "compression"> {
  /**
   * Starts the `SharedWorker` that holds the connection, with the name that is given: a script that calls `serveTabs()` of
   * `hawser/tabs/worker`. Default: none, one of the tabs holds it. That is also what happens where there are no such workers.
   */
  readonly worker?: (name: string) => SharedWorker;
  /**
   * Tabs with the same URL and name share. Where the server knows users by cookie, put something of the user into it: the
   * cookies of a shared connection are those of the tab that opened it. Default: `""`.
   */
  readonly name?: string;
}

/** Who holds the connection. */
export type HeldBy =
  | HostKind
  /** This tab has a connection of its own: this browser, this page (no secure context) or this server cannot share. */
  | "nobody else";

/** A connection that other tabs share: to its user, like any other. */
export interface TabsConnection extends Connection {
  /** Who holds the WebSocket; `undefined` as long as that is not known. */
  readonly heldBy: HeldBy | undefined;
}

/**
 * Connects like `connect`, over one WebSocket for all tabs of this origin that connect to the same URL. Each tab has a
 * session of its own, so nothing that one does is seen by another, and nothing is lost when the WebSocket has to move.
 *
 * @throws TypeError or RangeError for a wrong URL or option.
 */
export function connectTabs(url: string | URL, options: TabsOptions = {}): TabsConnection {
  const { worker, name = "", ...rest } = options;
  checkKeys("connectTabs()", notFor(rest), []);
  checkFunction("worker", worker);
  if (typeof name !== "string") throw new TypeError(`name must be a string, not ${typeof name}`);
  const settings = resolveConnectOptions(rest);
  const target = checkUrl(url);
  const share = `hawser.tabs.v1 ${target} ${name}`;
  const platform = new TabPlatform(share, worker, settings.session.limits.packetBytes);
  const connection = openConnection(target, settings, platform.platform);
  // Once what it has to say for the last time is said.
  connection.on("closed", () => queueMicrotask(() => platform.dispose()));
  return withHolder(connection, () => platform.heldBy);
}

/** Options that make no sense for a request that several tabs share. */
function notFor(options: object): object {
  const names = ["credentialsIn", "headers", "tls", "compression"];
  return Object.fromEntries(Object.entries(options).filter(([key]) => names.includes(key)));
}

function withHolder(connection: Connection, heldBy: () => HeldBy | undefined): TabsConnection {
  return Object.defineProperty(connection, "heldBy", { get: heldBy }) as TabsConnection;
}

/** The browser's platform, with links through the host of the tabs. */
class TabPlatform {
  readonly platform: Platform;
  readonly #web: Platform;
  readonly #tab: Tab;
  readonly #listeners = new Set<() => void>();
  readonly #stopListening: () => void;
  #alone = false;

  constructor(share: string, worker: TabsOptions["worker"], maxPacketBytes: number) {
    this.#web = webPlatform(maxPacketBytes);
    const locks = platformLocks();
    const tab = newName("tab");
    const sources: ((events: SourceEvents) => HostSource)[] = [];
    if (worker !== undefined && typeof SharedWorker !== "undefined")
      sources.push((events) => new WorkerSource(() => worker(share), events));
    if (locks !== undefined && typeof BroadcastChannel !== "undefined")
      sources.push((events) => new LeaderSource(share, tab, locks, events));
    this.#tab = new Tab({
      name: tab,
      locks,
      sources,
      onAlone: () => {
        this.#alone = true;
      },
      onInvited: () => this.#changed(),
      isVisible: () => !isHidden(),
    });
    const web = this.#web;
    this.platform = {
      ...web,
      dial: (url, request, events, onOpen, onFailure) =>
        this.#alone
          ? web.dial(url, request, events, onOpen, onFailure)
          : this.#tab.dial(url, events, onOpen, onFailure),
      mayConnect: () => !this.#away && (web.mayConnect?.() !== false || (this.#tab.invited && isOnline())),
      onMayConnect: (listener) => {
        this.#listeners.add(listener);
        const stop = web.onMayConnect?.(listener);
        return () => {
          this.#listeners.delete(listener);
          stop?.();
        };
      },
    };
    this.#stopListening = this.#listen();
    this.#tab.enter();
  }

  get heldBy(): HeldBy | undefined {
    return this.#alone ? "nobody else" : this.#tab.kind;
  }

  dispose(): void {
    this.#stopListening();
    this.#tab.leave(true);
  }

  #away = false;

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Leaves when the page is left or frozen, and comes back with it. */
  #listen(): () => void {
    const off = new AbortController();
    const { signal } = off;
    const away = (over: boolean) => {
      this.#away = true;
      this.#tab.leave(over);
    };
    const back = () => {
      if (!this.#away) return;
      this.#away = false;
      if (!this.#alone) this.#tab.enter();
      this.#changed();
    };
    globalThis.addEventListener?.("pagehide", ({ persisted }) => away(!persisted), { signal });
    globalThis.addEventListener?.("pageshow", ({ persisted }) => persisted && back(), { signal });
    const { document } = globalThis as { document?: Document };
    document?.addEventListener("freeze", () => away(false), { signal });
    document?.addEventListener("resume", back, { signal });
    document?.addEventListener("visibilitychange", () => isHidden() || this.#tab.probe(), { signal });
    return () => off.abort();
  }
}

function isHidden(): boolean {
  return (globalThis as { document?: Document }).document?.visibilityState === "hidden";
}

function isOnline(): boolean {
  return (globalThis as { navigator?: Navigator }).navigator?.onLine !== false;
}
