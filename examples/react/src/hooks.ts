// Hawser in React: connection, streams and topics, calls. All of them read stores that live outside of React, so that they are
// right under StrictMode and concurrent rendering.
import { type CallOptions, type Connection, type ConnectionState, RpcError } from "hawser/client";
import {
  createContext,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useState,
  useSyncExternalStore,
} from "react";
import { createStreamStore, type OpenStream, type StreamState, type StreamStore } from "./streams.js";

/** The connection of the page. Made once, outside of components, and never closed by them. */
export const ConnectionContext: React.Context<Connection | undefined> = createContext<Connection | undefined>(
  undefined,
);

/** The connection that a component stands under. */
export function useConnection(): Connection {
  const connection = useContext(ConnectionContext);
  if (connection === undefined) throw new Error("there is no <ConnectionContext value={connection}> above");
  return connection;
}

/** How the connection is, as a badge shows it. */
export function useConnectionState(): ConnectionState {
  const connection = useConnection();
  const subscribe = useCallback((changed: () => void) => connection.on("state", changed), [connection]);
  return useSyncExternalStore(subscribe, () => connection.state);
}

const stores = new WeakMap<Connection, Map<string, StreamStore<object>>>();

/**
 * Shows a server stream, or a topic, while the component is there.
 *
 * @param key Names the stream: components with the same key share one call. Put what the request says into it.
 * @param open Opens the call with a signal. What it is for a key must not change.
 * @param keep Messages that are kept. Default 100.
 */
export function useStream<T extends object>(key: string, open: OpenStream<T>, keep = 100): StreamState<T> {
  const connection = useConnection();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key says which stream it is.
  const store = useMemo(() => {
    const ofConnection = stores.get(connection) ?? new Map<string, StreamStore<object>>();
    stores.set(connection, ofConnection);
    const found = ofConnection.get(key);
    if (found !== undefined) return found as StreamStore<T>;
    const made = createStreamStore(open, keep, () => {
      if (ofConnection.get(key) === made) ofConnection.delete(key);
    });
    ofConnection.set(key, made);
    return made;
  }, [connection, key]);
  return useSyncExternalStore(store.subscribe, store.getState);
}

/** The newest message of a topic, and whether some before it are missing. */
export function useTopic<T extends object>(
  key: string,
  open: OpenStream<T>,
): StreamState<T> & { readonly latest: T | undefined } {
  const state = useStream(key, open, 1);
  return { ...state, latest: state.messages[0] };
}

/** A call that a component makes when something happens. */
export interface CallState<Request, Response> {
  /** Makes the call; one that is under way is cancelled. */
  readonly call: (request: Request) => void;
  readonly pending: boolean;
  /** Of the last call that has ended. */
  readonly response: Response | undefined;
  readonly error: RpcError | undefined;
}

/** Makes unary calls from a component, and cancels what is under way when the component goes. */
export function useCall<Request, Response>(
  method: (request: Request, options: CallOptions) => Promise<Response>,
): CallState<Request, Response> {
  const [caller] = useState(() => createCaller<Request, Response>());
  useEffect(() => caller.cancel, [caller]);
  const state = useSyncExternalStore(caller.subscribe, caller.getState);
  return { ...state, call: (request) => caller.call(method, request) };
}

function createCaller<Request, Response>() {
  type State = Omit<CallState<Request, Response>, "call">;
  let state: State = { pending: false, response: undefined, error: undefined };
  let current: AbortController | undefined;
  const listeners = new Set<() => void>();
  const change = (next: State) => {
    state = next;
    for (const listener of listeners) listener();
  };
  return {
    getState: () => state,
    subscribe(listener: () => void) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    cancel: () => current?.abort(),
    call(method: (request: Request, options: CallOptions) => Promise<Response>, request: Request) {
      current?.abort();
      const mine = new AbortController();
      current = mine;
      change({ ...state, pending: true });
      method(request, { signal: mine.signal }).then(
        (response) => current === mine && change({ pending: false, response, error: undefined }),
        (error: unknown) =>
          current === mine && change({ ...state, pending: false, error: RpcError.from(error) }),
      );
    },
  };
}
