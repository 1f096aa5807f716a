import { CloseCode } from "../base/close.js";
import type { Dial, DialFailure } from "../client/platform.js";
import type { Link, LinkEvents } from "../driver/link.js";
import type { EncodedPacket } from "../wire/encode.js";
import { Line } from "./line.js";
import { hold, whenFree } from "./locks.js";
import type { ToHost, ToTab } from "./messages.js";
import type { Found, HostKind, HostSource, SourceEvents } from "./source.js";

/** A host answers at once. One that takes this long, while the page is visible, is taken for stopped. */
const ANSWER_MS = 2_000;

const MOVED = "the connection is held by another tab or worker now";

/** A link that this tab has asked for. */
interface Wanted {
  readonly url: string;
  readonly events: LinkEvents;
  readonly onOpen: (link: Link) => void;
  readonly onFailure: (failure: DialFailure) => void;
  isOpen: boolean;
  /** Sent, and not known to be handed to the network. */
  buffered: number;
}

/** What a tab is made of. */
export interface TabInit {
  /** Name of the tab's lock. */
  readonly name: string;
  readonly locks: LockManager | undefined;
  /** Where hosts are found, from the best to the last resort. */
  readonly sources: readonly ((events: SourceEvents) => HostSource)[];
  /** No host can be had: the tab connects by itself. */
  readonly onAlone: () => void;
  /** {@link Tab.invited} may have become true. */
  readonly onInvited: () => void;
  /** Whether the page is seen, so that its timers are worth something. */
  readonly isVisible: () => boolean;
}

/** One tab's part of a shared connection: its way to the host, and its links over it. */
export class Tab implements SourceEvents {
  readonly #init: TabInit;
  readonly #wanted = new Map<number, Wanted>();
  #lastDial = 0;
  #source: HostSource | undefined;
  #nextSource = 0;
  #line: Line<ToHost, ToTab> | undefined;
  /** Whether the host has spoken. */
  #met = false;
  #kind: HostKind | undefined;
  #stopWatching: (() => void) | undefined;
  #answerTimer: ReturnType<typeof setTimeout> | undefined;
  #letGo: (() => void) | undefined;
  /** Counts the times that the tab took part. */
  #stay = 0;
  #present = false;
  /** Connecting makes sense although nobody looks at the page: the way has changed, or others have a connection. */
  invited = false;

  constructor(init: TabInit) {
    this.#init = init;
  }

  /** Who holds the connection; `undefined` as long as that is not known. */
  get kind(): HostKind | undefined {
    return this.#met ? this.#kind : undefined;
  }

  /** Takes part from now on. */
  enter(): void {
    if (this.#present) return;
    this.#present = true;
    const stay = ++this.#stay;
    const { locks, name } = this.#init;
    // Before anybody may ask for it: a lock that is free says that the tab is gone.
    hold(locks, name).then(
      (letGo) => {
        if (stay !== this.#stay) return letGo();
        this.#letGo = letGo;
        if (this.#source === undefined) this.#tryNext();
        else this.#look();
      },
      () => this.#alone(),
    );
  }

  /**
   * Takes part no longer. All of it happens at once: a page that is being left has no later.
   *
   * @param over for good: what is open ends
   */
  leave(over: boolean): void {
    if (!this.#present) return;
    this.#present = false;
    this.#stay++;
    this.invited = false;
    this.#line?.send({ do: "leave", over });
    this.#source?.leave(over);
    this.#lose();
    clearTimeout(this.#answerTimer);
    this.#letGo?.();
    this.#letGo = undefined;
  }

  /** Finds out whether the host still answers. */
  probe(): void {
    if (!this.#met) return;
    this.#line?.send({ do: "probe" });
    this.#expectAnswer();
  }

  /** As `Platform.dial`. */
  dial(
    url: string,
    events: LinkEvents,
    onOpen: (link: Link) => void,
    onFailure: (failure: DialFailure) => void,
  ): Dial {
    const dial = ++this.#lastDial;
    this.#wanted.set(dial, { url, events, onOpen, onFailure, isOpen: false, buffered: 0 });
    if (this.#met) this.#ask(dial, url);
    return {
      abort: () => {
        if (this.#wanted.delete(dial))
          this.#send({ do: "close", dial, code: CloseCode.goingAway, reason: "" });
      },
    };
  }

  // ---- hosts ---------------------------------------------------------------------------------------------------

  onFound({ port, kind }: Found): void {
    if (!this.#present) return port.close();
    this.#lose();
    this.#kind = kind;
    const line: Line<ToHost, ToTab> = new Line<ToHost, ToTab>(
      port,
      (message) => {
        if (this.#line === line) this.#onMessage(message);
      },
      () => {
        if (this.#line === line) this.#look();
      },
    );
    this.#line = line;
    this.#expectAnswer();
  }

  onUseless(): void {
    if (!this.#present) return;
    this.#source?.leave(false);
    this.#tryNext();
  }

  #tryNext(): void {
    const next = this.#init.sources[this.#nextSource++];
    if (next === undefined) return this.#alone();
    const source: HostSource = next({
      onFound: (found) => {
        if (this.#source === source) this.onFound(found);
        else found.port.close();
      },
      onUseless: () => {
        if (this.#source === source) this.onUseless();
      },
    });
    this.#source = source;
    this.#look();
  }

  #alone(): void {
    if (!this.#present) return;
    const wanted = [...this.#wanted.values()];
    this.leave(false);
    this.#init.onAlone();
    for (const { isOpen, onFailure } of wanted)
      if (!isOpen) onFailure({ code: CloseCode.moved, reason: "tabs cannot share a connection here" });
    this.#wanted.clear();
  }

  /** The host is gone, or there was none: looks for one. */
  #look(): void {
    this.#lose();
    this.#expectAnswer();
    this.#source?.find();
  }

  /** The way to the host is gone, and with it all open links; those that are to be opened wait for the next host. */
  #lose(): void {
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    this.#line?.close();
    this.#line = undefined;
    this.#met = false;
    for (const [dial, { isOpen, events }] of [...this.#wanted]) {
      if (!isOpen || !this.#wanted.delete(dial)) continue;
      if (this.#present) this.invited = true;
      events.onClose(CloseCode.moved, MOVED);
    }
  }

  #expectAnswer(): void {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = setTimeout(() => {
      if (!this.#present) return;
      // A page that nobody sees is slow itself, and can wait.
      if (!this.#init.isVisible()) return this.#expectAnswer();
      this.#lose();
      this.#expectAnswer();
      this.#source?.silent();
    }, ANSWER_MS);
  }

  #onMessage(message: ToTab): void {
    switch (message.say) {
      case "here":
        clearTimeout(this.#answerTimer);
        if (!this.#met) this.#meet(message.host);
        return;
      case "left":
        return this.#look();
      case "up":
        this.invited = true;
        return this.#init.onInvited();
      case "unsupported":
        return this.#alone();
      case "opened":
        return this.#opened(message.dial);
      case "packet":
        return this.#wanted.get(message.dial)?.events.onMessage(message.bytes);
      case "written": {
        const wanted = this.#wanted.get(message.dial);
        if (wanted === undefined) return;
        wanted.buffered -= message.bytes;
        return wanted.events.onDrain();
      }
      case "closed":
        return this.#closed(message.dial, message.code, message.reason);
    }
  }

  #meet(host: string): void {
    this.#met = true;
    const { locks, name } = this.#init;
    const line = this.#line;
    this.#stopWatching = whenFree(locks, host, () => {
      if (this.#line === line) this.#look();
    });
    this.#send({ do: "join", tab: name });
    for (const [dial, { url }] of this.#wanted) this.#ask(dial, url);
  }

  // ---- links ---------------------------------------------------------------------------------------------------

  #ask(dial: number, url: string): void {
    this.#send({ do: "dial", dial, url });
    this.#expectAnswer();
  }

  #send(message: ToHost, transfer?: Transferable[]): void {
    if (this.#met) this.#line?.send(message, transfer);
  }

  #opened(dial: number): void {
    const wanted = this.#wanted.get(dial);
    if (wanted === undefined || wanted.isOpen) return;
    wanted.isOpen = true;
    this.invited = false;
    wanted.onOpen({
      kind: "websocket",
      get bufferedBytes() {
        return wanted.buffered;
      },
      send: (packet) => {
        if (this.#wanted.get(dial) !== wanted) return;
        const bytes = copied(packet);
        wanted.buffered += bytes.length;
        this.#send({ do: "packet", dial, bytes }, [bytes.buffer]);
      },
      cork() {
        // Messages between tabs are not worth holding back.
      },
      uncork() {
        // See above.
      },
      close: (code, reason) => {
        if (!this.#wanted.delete(dial)) return;
        this.#send({ do: "close", dial, code, reason });
        queueMicrotask(() => wanted.events.onClose(code, reason));
      },
    });
  }

  #closed(dial: number, code: number, reason: string): void {
    const wanted = this.#wanted.get(dial);
    if (wanted === undefined) return;
    this.#wanted.delete(dial);
    if (wanted.isOpen) return wanted.events.onClose(code, reason);
    this.invited = false;
    wanted.onFailure({ code, reason });
  }
}

/** The session keeps its packet for resending; what changes hands is a copy. */
function copied({ head, body, bytes }: EncodedPacket): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  copy.set(head);
  if (body !== undefined) copy.set(body, head.length);
  return copy;
}
