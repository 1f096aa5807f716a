/** @jsxImportSource preact */

import type { DescMethod, FileRegistry } from "@bufbuild/protobuf";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Service } from "../../../gen/hawser/inspect/v1/inspect_pb.js";
import { count, time } from "../format.js";
import { type CallEnd, type OpenCall, startCall } from "./caller.js";
import { CodeBadge } from "./parts.js";
import { fieldLines, loadSchema, template } from "./schema.js";
import { serverUrl } from "./server.js";

/** Replies that are shown; of a long stream, the newest. */
const SHOWN = 200;

/** What has come of a call. */
interface Answer {
  readonly header: string;
  readonly messages: readonly { readonly number: number; readonly json: string; readonly atMs: number }[];
  readonly total: number;
  readonly end: CallEnd | undefined;
}

const NOTHING: Answer = { header: "", messages: [], total: 0, end: undefined };

/** A form that makes calls, of any method that the server serves. */
export function CallForm({
  services,
  chosen,
}: {
  readonly services: readonly Service[];
  readonly chosen: string;
}): JSX.Element {
  const [registry, setRegistry] = useState<FileRegistry>();
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    loadSchema().then(setRegistry, (error: unknown) => setTrouble(String(error)));
  }, []);
  const names = services.flatMap(({ name, methods }) => methods.map((method) => `${name}/${method.name}`));
  const name = names.includes(chosen)
    ? chosen
    : (names.find((one) => !/^(grpc|hawser)\./.test(one)) ?? names[0] ?? "");
  const [service = "", methodName] = name.split("/");
  const method = registry?.getService(service)?.methods.find((one) => one.name === methodName);
  return (
    <section class="card">
      <h1>Call</h1>
      <label class="field">
        Method
        <select
          value={name}
          onChange={(event) => {
            location.hash = `#/call/${event.currentTarget.value}`;
          }}
        >
          {services.map((one) => (
            <optgroup key={one.name} label={one.name}>
              {one.methods.map((each) => (
                <option key={each.name} value={`${one.name}/${each.name}`}>
                  {each.name}
                </option>
              ))}
            </optgroup>
          ))}
        </select>
      </label>
      {trouble !== "" && (
        <p class="trouble" role="alert">
          {trouble}
        </p>
      )}
      {method !== undefined && registry !== undefined && (
        <MethodForm key={name} name={name} method={method} registry={registry} />
      )}
    </section>
  );
}

function MethodForm({
  name,
  method,
  registry,
}: {
  readonly name: string;
  readonly method: DescMethod;
  readonly registry: FileRegistry;
}) {
  const [json, setJson] = useState(() => JSON.stringify(template(method.input), undefined, 2));
  const [metadata, setMetadata] = useState("");
  const [timeout, setTimeoutText] = useState("");
  const [fault, setFault] = useState("");
  const [answer, setAnswer] = useState<Answer>(NOTHING);
  const call = useRef<OpenCall>(undefined);
  const [open, setOpen] = useState(false);
  const takesMany = method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
  useEffect(() => () => call.current?.cancel(), []);

  const attempt = (task: () => void) => {
    try {
      task();
      setFault("");
    } catch (error) {
      setFault(error instanceof Error ? error.message : String(error));
    }
  };
  const begin = () =>
    attempt(() => {
      const headers = new Headers(metadataOf(metadata));
      const timeoutMs = timeout.trim() === "" ? undefined : Number(timeout);
      if (timeoutMs !== undefined && !(timeoutMs > 0))
        throw new Error("the deadline must be a number of milliseconds");
      const startedAt = performance.now();
      // Replies may come faster than anybody reads: they are drawn once in each frame.
      let next: Answer = NOTHING;
      let drawing = false;
      const change = (changed: Partial<Answer>) => {
        next = { ...next, ...changed };
        if (drawing) return;
        drawing = true;
        requestAnimationFrame(() => {
          drawing = false;
          setAnswer(next);
        });
      };
      call.current = startCall(method, json, { headers, timeoutMs }, registry, {
        header: (header) => change({ header: linesOf(header) }),
        message: (text) => {
          const total = next.total + 1;
          const message = { number: total, json: text, atMs: performance.now() - startedAt };
          change({ total, messages: [message, ...next.messages].slice(0, SHOWN) });
        },
        ended: (end) => {
          change({ end });
          setOpen(false);
        },
      });
      setAnswer(NOTHING);
      setOpen(true);
    });

  return (
    <>
      <p class="quiet">
        {method.methodKind.replace("_", " ")}: <code>{method.input.typeName}</code> →{" "}
        <code>{method.output.typeName}</code>
      </p>
      <form
        class="call"
        onSubmit={(event) => {
          event.preventDefault();
          if (!open) begin();
        }}
      >
        <div class="fields">
          <label class="field">
            {takesMany ? "Message (JSON); more may follow" : "Request (JSON)"}
            <textarea
              class="code"
              rows={Math.min(18, Math.max(6, json.split("\n").length + 1))}
              spellcheck={false}
              value={json}
              onInput={(event) => setJson(event.currentTarget.value)}
            />
          </label>
          <details>
            <summary>Fields of {method.input.name}</summary>
            <pre class="code">{fieldLines(method.input).join("\n") || "none"}</pre>
          </details>
          <label class="field">
            Metadata, a line each: name: value
            <textarea
              class="code"
              rows={2}
              spellcheck={false}
              value={metadata}
              onInput={(event) => setMetadata(event.currentTarget.value)}
            />
          </label>
          <label class="field short">
            Deadline in milliseconds
            <input
              inputMode="numeric"
              placeholder="none"
              value={timeout}
              onInput={(event) => setTimeoutText(event.currentTarget.value)}
            />
          </label>
          {fault !== "" && (
            <p class="trouble" role="alert">
              {fault}
            </p>
          )}
          <div class="controls">
            <button type="submit" class="primary" disabled={open}>
              Call
            </button>
            {takesMany && (
              <>
                <button
                  type="button"
                  disabled={!open}
                  onClick={() => attempt(() => call.current?.send(json))}
                >
                  Send message
                </button>
                <button type="button" disabled={!open} onClick={() => call.current?.finish()}>
                  Finish
                </button>
              </>
            )}
            <button type="button" disabled={!open} onClick={() => call.current?.cancel()}>
              Cancel
            </button>
          </div>
          <details>
            <summary>On the command line</summary>
            <pre class="code">{commandOf(name, json, metadata, timeout)}</pre>
          </details>
        </div>
        <Replies answer={answer} open={open} />
      </form>
    </>
  );
}

function Replies({
  answer: { header, messages, total, end },
  open,
}: {
  readonly answer: Answer;
  readonly open: boolean;
}) {
  return (
    <div class="replies">
      <p class="outcome" role="status">
        {end !== undefined ? (
          <>
            <CodeBadge code={end.code} /> in {time(end.durationMs)}, {count(total)}{" "}
            {total === 1 ? "message" : "messages"}
          </>
        ) : open ? (
          `under way, ${count(total)} ${total === 1 ? "message" : "messages"} so far`
        ) : (
          <span class="quiet">Replies appear here.</span>
        )}
      </p>
      {end !== undefined && end.message !== "" && <p class="message">{end.message}</p>}
      {end?.details.map((detail) => (
        <p class="message" key={detail}>
          {detail}
        </p>
      ))}
      {header !== "" && (
        <details>
          <summary>Header</summary>
          <pre class="code">{header}</pre>
        </details>
      )}
      {end !== undefined && linesOf(end.trailer) !== "" && (
        <details open>
          <summary>Trailer</summary>
          <pre class="code">{linesOf(end.trailer)}</pre>
        </details>
      )}
      <ol class="messages" reversed>
        {messages.map(({ number, json, atMs }) => (
          <li key={number} value={number}>
            <span class="quiet">
              {number}, after {time(atMs)}
            </span>
            <pre class="code">{json}</pre>
          </li>
        ))}
      </ol>
    </div>
  );
}

function metadataOf(text: string): [string, string][] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const colon = line.indexOf(":");
      if (colon < 1) throw new Error(`"${line}" is no metadata, such as "name: value"`);
      return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
    });
}

function linesOf(headers: Headers): string {
  return [...headers].map(([name, value]) => `${name}: ${value}`).join("\n");
}

/** The same call for a shell. */
function commandOf(name: string, json: string, metadata: string, timeout: string): string {
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  let data = json;
  try {
    data = JSON.stringify(JSON.parse(json));
  } catch {
    // It is shown as it stands.
  }
  const parts = [`hawser call ${serverUrl()} ${name}`, `-d ${quote(data)}`];
  for (const line of metadata.split("\n")) if (line.trim() !== "") parts.push(`-H ${quote(line.trim())}`);
  if (timeout.trim() !== "") parts.push(`--timeout ${timeout.trim()}ms`);
  return parts.join(" \\\n  ");
}
