/** @jsxImportSource preact */
// The inspector's page: the generated client of its service, in a browser.
import { signal } from "@preact/signals";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { GetNodeResponse } from "../../../gen/hawser/inspect/v1/inspect_pb.js";
import { age, count } from "../format.js";
import { CallForm } from "./call-form.js";
import { Calls } from "./calls.js";
import { Connection, Connections } from "./connections.js";
import { Overview } from "./overview.js";
import { begin, link, paused, samples, stage, watchSamples } from "./server.js";
import { Topics, TopicView } from "./topics.js";

const VIEWS = [
  ["overview", "Overview"],
  ["connections", "Connections"],
  ["calls", "Calls"],
  ["topics", "Topics"],
  ["call", "Call"],
] as const;

/** View, and what in it is shown: `#/topics/ticks`. */
const place = signal(readPlace());

function readPlace(): { readonly view: string; readonly what: string } {
  const [, view = "", what = ""] = /^#\/([a-z]+)(?:\/(.*))?$/.exec(location.hash) ?? [];
  try {
    return { view: view || "overview", what: decodeURIComponent(what) };
  } catch {
    return { view: "overview", what: "" };
  }
}

addEventListener("hashchange", () => {
  place.value = readPlace();
  scrollTo(0, 0);
});

function App() {
  const now = stage.value;
  switch (now.name) {
    case "connecting":
      return <p class="quiet loading">connecting …</p>;
    case "sign-in":
      return <SignIn reason={now.reason} />;
    case "failed":
      return (
        <main class="alone">
          <h1>Hawser inspector</h1>
          <p class="trouble" role="alert">
            {now.reason}
          </p>
          <button type="button" class="primary" onClick={() => void begin()}>
            Try again
          </button>
        </main>
      );
    case "open":
      return <Inspector key={now.node.node} node={now.node} />;
  }
}

function SignIn({ reason }: { readonly reason: string }) {
  const [token, setToken] = useState("");
  return (
    <main class="alone">
      <h1>Hawser inspector</h1>
      <p role="alert">{reason}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void begin(token);
        }}
      >
        <label class="field">
          Credentials, as the server's clients give them
          <input
            type="password"
            autocomplete="current-password"
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="primary">
          Sign in
        </button>
      </form>
      <p class="quiet">They are kept in this tab only. Cookies of this site are sent in any case.</p>
    </main>
  );
}

function Inspector({ node }: { readonly node: GetNodeResponse }) {
  useEffect(watchSamples, []);
  const { view, what } = place.value;
  return (
    <>
      <header>
        <div class="title">
          <a class="brand" href="#/overview">
            <svg viewBox="0 0 16 16" width="20" height="20" aria-hidden="true">
              <path
                d="M2 11c3-8 9 2 12-6"
                fill="none"
                stroke="currentColor"
                stroke-width="2.5"
                stroke-linecap="round"
              />
            </svg>
            Hawser
          </a>
          <p class="quiet" title={`node ${node.node}`}>
            {node.host}, process {node.process}, up{" "}
            {age(node.startedAt, samples.value.at(-1)?.at ?? node.startedAt)}
          </p>
        </div>
        <div class="controls">
          <span class="state" data-state={link.value} role="status">
            {link.value}
          </span>
          <button type="button" aria-pressed={paused.value} onClick={() => (paused.value = !paused.value)}>
            {paused.value ? "Go on" : "Pause"}
          </button>
        </div>
        <nav aria-label="Views">
          {VIEWS.map(([name, title]) => (
            <a key={name} href={`#/${name}`} aria-current={view === name ? "page" : undefined}>
              {title}
            </a>
          ))}
        </nav>
      </header>
      <main data-samples={samples.value.length}>
        <View view={view} what={what} node={node} />
      </main>
      <footer class="quiet">
        <p>
          hawser {node.version}, {node.platform}
          {node.identity === "" ? "" : `, signed in as ${node.identity}`}
        </p>
        <details>
          <summary>Limits of this server</summary>
          <dl class="facts">
            {node.limits.map(({ option, value }) => (
              <div key={option}>
                <dt>{option}</dt>
                <dd>{count(value)}</dd>
              </div>
            ))}
          </dl>
        </details>
      </footer>
    </>
  );
}

function View({
  view,
  what,
  node,
}: {
  readonly view: string;
  readonly what: string;
  readonly node: GetNodeResponse;
}) {
  switch (view) {
    case "connections":
      return what === "" ? <Connections /> : <Connection key={what} id={what} />;
    case "calls":
      return <Calls />;
    case "topics":
      return what === "" ? <Topics /> : <TopicView key={what} name={what} />;
    case "call":
      return <CallForm services={node.services} chosen={what} />;
    default:
      return <Overview />;
  }
}

const app = document.getElementById("app");
if (app !== null) {
  app.replaceChildren();
  render(<App />, app);
  void begin();
}
