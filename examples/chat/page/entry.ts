// Who and where: the name is kept in sessionStorage, for this tab, and the room is in the URL.
import { element } from "./dom.js";

const NAME = "chat.name";
const REFUSAL = "chat.refusal";

/** Goes where this tab was, or asks. */
export function showEntry(enter: (name: string, room: string) => void): void {
  const entry = element("entry");
  const form = element<HTMLFormElement>("enter");
  const name = element<HTMLInputElement>("name");
  const room = element<HTMLInputElement>("room");
  const refusal = element("refusal");
  refusal.textContent = take(REFUSAL);
  refusal.hidden = refusal.textContent === "";
  room.value = location.hash.slice(1) || room.value;
  name.value = sessionStorage.getItem(NAME) ?? "";

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    history.replaceState(null, "", `#${room.value}`);
    sessionStorage.setItem(NAME, name.value);
    entry.hidden = true;
    enter(name.value, room.value);
  });
  element("leave").addEventListener("click", () => {
    sessionStorage.removeItem(NAME);
    location.reload();
  });
  // Another room, by its URL; and a page out of the browser's cache, whose connection is closed.
  addEventListener("hashchange", () => location.reload());
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) location.reload();
  });

  if (location.hash !== "" && form.checkValidity()) {
    form.requestSubmit();
  } else {
    entry.hidden = false;
    name.focus();
  }
}

/** The server does not let this name in: asks again. */
export function refuse(reason: string): void {
  sessionStorage.removeItem(NAME);
  sessionStorage.setItem(REFUSAL, reason);
  location.reload();
}

function take(key: string): string {
  const value = sessionStorage.getItem(key) ?? "";
  sessionStorage.removeItem(key);
  return value;
}
