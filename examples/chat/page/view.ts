// What a room looks like. Nothing here knows of the connection.
import type { ConnectionState, GapReason } from "hawser/client";
import { idOf } from "../names.js";
import { element, make } from "./dom.js";
import type { Draft, Line } from "./store.js";

interface Author {
  readonly id: string;
  readonly name: string;
}

/** What the user does. */
export interface RoomEvents {
  onSend(text: string): void;
  onTyping(): void;
}

/** "… is typing" goes after this time, unless it is said again. */
const TYPING_MS = 4_000;
/** Lines of one author within this time stand together. */
const TOGETHER_MS = 5 * 60_000;
/** Lines that stay in the page. */
const MAX_LINES = 500;

const STATES: Readonly<Record<ConnectionState, string>> = {
  connecting: "connecting …",
  open: "connected",
  reconnecting: "reconnecting …",
  draining: "changing servers …",
  idle: "asleep",
  closed: "disconnected",
};

const GAPS: Readonly<Record<GapReason, string>> = {
  historyTooShort: "Messages are missing here: you were away for longer than the server keeps them.",
  newEpoch: "The server has begun anew. Messages may be missing here.",
  brokerLoss: "Messages may be missing here: some were lost between the servers.",
  noHistory: "Messages may be missing here.",
  unknown: "Messages may be missing here.",
};

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const list = new Intl.ListFormat("en", { type: "conjunction" });

/** The view of one room. */
export class RoomView {
  /** Id of the user. */
  readonly #me: string;
  readonly #log = element("log");
  readonly #lines = element("lines");
  readonly #unsent = element("unsent");
  readonly #text = element<HTMLTextAreaElement>("text");
  readonly #typing = new Map<string, { readonly name: string; readonly timer: number }>();
  /** The newest line is in sight. */
  #atEnd = true;
  #last: Line | undefined;

  constructor(name: string, room: string, { onSend, onTyping }: RoomEvents) {
    this.#me = idOf(name);
    element("chat").hidden = false;
    element("title").textContent = `#${room}`;
    document.title = `#${room} – Hawser chat`;
    this.showState("connecting");

    const submit = () => {
      const text = this.#text.value.trim();
      if (text === "") return;
      this.#text.value = "";
      element("trouble").hidden = true;
      this.#atEnd = true;
      onSend(text);
    };
    element("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      submit();
      this.#text.focus();
    });
    this.#text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      submit();
    });
    this.#text.addEventListener("input", () => {
      if (this.#text.value.trim() !== "") onTyping();
    });
    this.#log.addEventListener("scroll", () => {
      const { scrollTop, scrollHeight, clientHeight } = this.#log;
      this.#atEnd = scrollHeight - clientHeight - scrollTop < 80;
    });
    // A smaller window, or a phone's keyboard, must not hide what is newest.
    new ResizeObserver(() => this.#followEnd()).observe(this.#log);
    this.#text.focus();
  }

  showState(state: ConnectionState): void {
    const shown = element("state");
    shown.textContent = STATES[state];
    shown.dataset["state"] = state;
  }

  showTrouble(text: string): void {
    const shown = element("trouble");
    shown.textContent = text;
    shown.hidden = false;
  }

  add(line: Line): void {
    const { author, gap } = line;
    if (gap !== undefined) this.#lines.append(make("li", "gap", GAPS[gap]));
    this.dropUnsent(line);
    this.#lines.append(this.#lineElement(line));
    while (this.#lines.childElementCount > MAX_LINES) this.#lines.firstElementChild?.remove();
    this.#last = line;
    this.#stopTyping(author.id);
    this.#followEnd();
  }

  addUnsent({ id, text }: Draft): void {
    const item = make("li", "line mine", make("p", "text", text), make("p", "note", "sending …"));
    item.dataset["id"] = id;
    this.#unsent.append(item);
    this.#followEnd();
  }

  dropUnsent({ id }: { readonly id: string }): void {
    for (const item of this.#unsent.children)
      if (item instanceof HTMLElement && item.dataset["id"] === id) return item.remove();
  }

  showMembers(members: ReadonlyMap<string, Author>): void {
    const sorted = [...members.values()].sort((a, b) => a.name.localeCompare(b.name));
    element("count").textContent = String(sorted.length);
    element("members").replaceChildren(
      ...sorted.map((member) => {
        const name = make("span", "name", member.name);
        return make(
          "li",
          "",
          avatar(member),
          name,
          ...(this.#isMe(member) ? [make("span", "quiet", "you")] : []),
        );
      }),
    );
    for (const id of this.#typing.keys()) if (!members.has(id)) this.#stopTyping(id);
  }

  showTyping({ id, name }: Author): void {
    if (this.#isMe({ id, name })) return;
    clearTimeout(this.#typing.get(id)?.timer);
    this.#typing.set(id, { name, timer: window.setTimeout(() => this.#stopTyping(id), TYPING_MS) });
    this.#drawTyping();
  }

  #stopTyping(id: string): void {
    clearTimeout(this.#typing.get(id)?.timer);
    if (this.#typing.delete(id)) this.#drawTyping();
  }

  #drawTyping(): void {
    const names = [...this.#typing.values()].map(({ name }) => name);
    element("typing").textContent =
      names.length === 0 ? "" : `${list.format(names)} ${names.length === 1 ? "is" : "are"} typing …`;
  }

  #lineElement(line: Line): HTMLElement {
    const { author, text, sentAt, gap } = line;
    const last = gap === undefined ? this.#last : undefined;
    const goesOn = last?.author.id === author.id && sentAt - last.sentAt < TOGETHER_MS;
    const when = new Date(sentAt);
    const time = make("time", "", clock.format(when));
    time.setAttribute("datetime", when.toISOString());
    time.title = calendar.format(when);
    const head = make("p", "head", make("b", "name", author.name), time);
    const item = make("li", "line", avatar(author), head, make("p", "text", text));
    item.dataset["id"] = line.id;
    item.classList.toggle("goes-on", goesOn);
    item.classList.toggle("mine", this.#isMe(author));
    return item;
  }

  #isMe({ id }: Author): boolean {
    return id === this.#me;
  }

  /** Whoever has scrolled up to read stays there. */
  #followEnd(): void {
    if (this.#atEnd) this.#log.scrollTop = this.#log.scrollHeight;
  }
}

/** The first letter, in a colour of the author's own. */
function avatar({ id, name }: Author): HTMLElement {
  const made = make("span", "avatar", [...name][0]?.toUpperCase() ?? "?");
  made.setAttribute("aria-hidden", "true");
  let hash = 7;
  for (const letter of id) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) % 360_007;
  made.style.setProperty("--hue", String((hash * 47) % 360));
  return made;
}
