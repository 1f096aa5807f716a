// The page's connection to its server, and what comes from it.
import { type Signal, signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import {
  createInspectServiceClient,
  type GetNodeResponse,
  type InspectServiceClient,
  type Sample,
  type WatchResponse,
} from "../../../gen/hawser/inspect/v1/inspect_hawser.js";
import { Code, type Connection, connect, RpcError } from "../../client/browser.js";

/** How the page stands to its server. */
export type Stage =
  | { readonly name: "connecting" }
  /** Credentials are asked for. */
  | { readonly name: "sign-in"; readonly reason: string }
  | { readonly name: "failed"; readonly reason: string }
  | { readonly name: "open"; readonly node: GetNodeResponse };

/** What a watch asks for. */
export type WatchInit = Parameters<InspectServiceClient["watch"]>[0];

export const stage: Signal<Stage> = signal<Stage>({ name: "connecting" });
/** State of the link, as the connection tells it. */
export const link: Signal<string> = signal("connecting");
/** Nothing on the page changes as long as this holds. */
export const paused: Signal<boolean> = signal(false);
/** The last quarter of an hour, second by second. */
export const samples: Signal<readonly Sample[]> = signal<readonly Sample[]>([]);

const SAMPLES = 900;
const AGAIN_MS = 1_000;
const SIGN_IN: readonly Code[] = [Code.Unauthenticated, Code.PermissionDenied];
/** For this tab only, and gone with it. */
const STORED = "hawser.inspector.credentials";

let connection: Connection | undefined;
let client: InspectServiceClient | undefined;
let url = "";

/** The connection, which calls of the form go over as well. */
export function server(): Connection {
  if (connection === undefined) throw new Error("there is no connection yet");
  return connection;
}

export function inspect(): InspectServiceClient {
  client ??= createInspectServiceClient(server());
  return client;
}

/** URL of the server's WebSocket. */
export function serverUrl(): string {
  return url;
}

/** Connects, and finds out whether this user may look. */
export async function begin(credentials?: string): Promise<void> {
  stage.value = { name: "connecting" };
  try {
    url ||= await findServer();
    if (credentials !== undefined) sessionStorage.setItem(STORED, credentials);
    await connection?.close();
    client = undefined;
    connection = connect(url, {
      credentials: () => sessionStorage.getItem(STORED) ?? "",
      // Some gateways, and servers that authenticate at the upgrade, look there.
      credentialsIn: (sessionStorage.getItem(STORED) ?? "") === "" ? "hello" : "subprotocol",
      reconnect: { initialDelayMs: 300, maxDelayMs: 5_000 },
    });
    follow(connection);
    const node = await inspect().getNode({}, { timeoutMs: 15_000 });
    stage.value = { name: "open", node };
  } catch (error) {
    const { code, rawMessage } = RpcError.from(error);
    const reason = error instanceof RpcError ? rawMessage : String(error);
    stage.value = SIGN_IN.includes(code) ? { name: "sign-in", reason } : { name: "failed", reason };
    await connection?.close();
  }
}

function follow(opened: Connection): void {
  opened.on("state", ({ state }) => {
    if (opened === connection) link.value = state;
  });
  opened.on("closed", ({ code, reason }) => {
    if (opened !== connection || stage.value.name !== "open") return;
    stage.value = code === 4401 || code === 4403 ? { name: "sign-in", reason } : { name: "failed", reason };
  });
}

async function findServer(): Promise<string> {
  const response = await fetch("config.json");
  const { rpcPath } = (await response.json()) as { readonly rpcPath: string | null };
  if (rpcPath === null) throw new Error("the server does not listen for WebSockets yet");
  return new URL(rpcPath, location.href).href.replace(/^http/, "ws");
}

/**
 * Goes on watching through whatever happens, until it is called off.
 *
 * @param onResponse `first`: what was known before does not count any more
 */
export function watch(
  request: WatchInit,
  onResponse: (response: WatchResponse, first: boolean) => void,
): () => void {
  const stop = new AbortController();
  const go = async () => {
    while (!stop.signal.aborted) {
      try {
        let first = true;
        for await (const response of inspect().watch(request, { signal: stop.signal })) {
          onResponse(response, first);
          first = false;
        }
      } catch (error) {
        if (stop.signal.aborted) return;
        const { code, rawMessage } = RpcError.from(error);
        if (SIGN_IN.includes(code)) stage.value = { name: "sign-in", reason: rawMessage };
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  };
  void go();
  return () => stop.abort();
}

/** Keeps {@link samples} up to date. */
export function watchSamples(): () => void {
  return watch({ samples: { last: SAMPLES } }, (response, first) => {
    if (response.samples.length === 0) return;
    samples.value = [...(first ? [] : samples.value), ...response.samples].slice(-SAMPLES);
  });
}

/** What the server answers to a request, as it changes; the last answer to the one before until there is another. */
export function useWatch(request: WatchInit): WatchResponse | undefined {
  const [response, setResponse] = useState<WatchResponse>();
  // Each rendering makes another object that asks for the same.
  const text = JSON.stringify(request);
  useEffect(
    () =>
      watch(JSON.parse(text) as WatchInit, (next) => {
        if (!paused.value) setResponse(next);
      }),
    [text],
  );
  return response;
}
