// What a tab remembers of a room, so that a reload goes on where it was: sessionStorage, each tab for itself.
import type { GapReason } from "hawser/client";

/** A message as the page shows it. */
export interface Line {
  readonly id: string;
  readonly author: { readonly id: string; readonly name: string };
  readonly text: string;
  /** Milliseconds since the epoch. */
  readonly sentAt: number;
  /** Set when messages before it are missing. */
  readonly gap: GapReason | undefined;
}

/** A message that the server has not confirmed. */
export interface Draft {
  readonly id: string;
  readonly text: string;
}

interface Saved {
  /** Of the last line in the topic; `undefined` before the first. */
  readonly position: string | undefined;
  readonly lines: readonly Line[];
  readonly unsent: readonly Draft[];
}

const MAX_LINES = 200;

/** The memory of one room. */
export class RoomStore {
  readonly #key: string;
  #saved: Saved;

  constructor(room: string) {
    this.#key = `chat.room.${room}`;
    this.#saved = read(this.#key);
  }

  get position(): string | undefined {
    return this.#saved.position;
  }

  get lines(): readonly Line[] {
    return this.#saved.lines;
  }

  get unsent(): readonly Draft[] {
    return this.#saved.unsent;
  }

  /** A line has come. It and its place are saved in one step: neither is ever there without the other. */
  add(line: Line, position: string | undefined): void {
    const lines = [...this.#saved.lines, line].slice(-MAX_LINES);
    this.#save({ lines, position, unsent: this.#without(line.id) });
  }

  /** A message was written. */
  keep(draft: Draft): void {
    this.#save({ ...this.#saved, unsent: [...this.#without(draft.id), draft] });
  }

  /** A message has been sent, or never will be. */
  drop({ id }: Draft): void {
    this.#save({ ...this.#saved, unsent: this.#without(id) });
  }

  #without(id: string): readonly Draft[] {
    return this.#saved.unsent.filter((draft) => draft.id !== id);
  }

  #save(saved: Saved): void {
    this.#saved = saved;
    sessionStorage.setItem(this.#key, JSON.stringify(saved));
  }
}

function read(key: string): Saved {
  const saved = JSON.parse(sessionStorage.getItem(key) ?? "{}") as Partial<Saved>;
  return { position: saved.position, lines: saved.lines ?? [], unsent: saved.unsent ?? [] };
}
