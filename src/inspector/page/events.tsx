/** @jsxImportSource preact */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Event, WatchResponse } from "../../../gen/hawser/inspect/v1/inspect_pb.js";
import { clock, time } from "../format.js";
import { SessionLink } from "./parts.js";

const SHOWN = 30;
const TONES: Readonly<Record<string, string>> = {
  opened: "good",
  resumed: "good",
  detached: "warn",
  evicted: "bad",
  refused: "bad",
  limited: "bad",
};

/** What has happened to sessions and links, the newest first. Responses bring what is new. */
export function EventList({ response }: { readonly response: WatchResponse | undefined }): JSX.Element {
  const [events, setEvents] = useState<readonly Event[]>([]);
  useEffect(() => {
    const fresh = response?.events?.events ?? [];
    if (fresh.length === 0) return;
    setEvents((known) => {
      // A watch that was begun anew brings some again.
      const seen = new Set(known.map(({ number }) => number));
      return [...fresh.filter(({ number }) => !seen.has(number)).reverse(), ...known].slice(0, SHOWN);
    });
  }, [response]);
  if (events.length === 0) return <p class="none">Nothing so far.</p>;
  return (
    <ol class="events">
      {events.map((event) => (
        <li key={event.number}>
          <time>{clock(event.at)}</time>
          <span class={`badge ${TONES[event.what] ?? ""}`}>{event.what}</span>
          {event.session === "" ? (
            <span>{event.identity || event.address}</span>
          ) : (
            <SessionLink id={event.session} identity={event.identity} />
          )}
          <span class="quiet">
            {event.reason}
            {event.downMs > 0 ? ` after ${time(event.downMs)} without a link` : ""}
          </span>
        </li>
      ))}
    </ol>
  );
}
