// What a page knows of a stream, outside of React: one call for all components that show it.
import { type GapReason, gapBefore, RpcError } from "hawser/client";

/** A stream as it is shown. A new object at every change, as React wants it. */
export interface StreamState<T> {
  /** The newest messages, oldest first. */
  readonly messages: readonly T[];
  /** Why messages before the first of these are missing; `undefined` when none are. */
  readonly gap: GapReason | undefined;
  readonly status: "streaming" | "ended" | "failed";
  readonly error: RpcError | undefined;
}

/** Opens the call. The signal is aborted when nobody shows it any more. */
export type OpenStream<T> = (signal: AbortSignal) => AsyncIterable<T>;

/** A stream that runs while somebody is subscribed to it. */
export interface StreamStore<T> {
  readonly subscribe: (listener: () => void) => () => void;
  readonly getState: () => StreamState<T>;
}

const BEGUN: StreamState<never> = { messages: [], gap: undefined, status: "streaming", error: undefined };

/**
 * @param open Called when the first subscriber comes.
 * @param keep Messages that are kept.
 * @param onIdle Called when the last subscriber has gone, and the call with it.
 */
export function createStreamStore<T extends object>(
  open: OpenStream<T>,
  keep: number,
  onIdle: () => void,
): StreamStore<T> {
  const listeners = new Set<() => void>();
  let state: StreamState<T> = BEGUN;
  /** What React knows of. */
  let shown = state;
  let isDrawing = false;
  let stop: AbortController | undefined;

  /** Messages come faster than anybody can see them: React hears of them once a frame. */
  const change = (next: StreamState<T>) => {
    state = next;
    if (isDrawing) return;
    isDrawing = true;
    requestAnimationFrame(() => {
      isDrawing = false;
      shown = state;
      for (const listener of listeners) listener();
    });
  };

  const read = async (signal: AbortSignal) => {
    try {
      for await (const message of open(signal)) {
        const gap = gapBefore(message)?.reason ?? state.gap;
        change({ ...state, messages: [...state.messages, message].slice(-keep), gap });
      }
      change({ ...state, status: "ended" });
    } catch (error) {
      if (!signal.aborted) change({ ...state, status: "failed", error: RpcError.from(error) });
    }
  };

  return {
    getState: () => shown,
    subscribe(listener) {
      listeners.add(listener);
      if (stop === undefined) {
        stop = new AbortController();
        void read(stop.signal);
      }
      return () => {
        listeners.delete(listener);
        // StrictMode unmounts and mounts again at once, and so does a list whose order changes: the call outlives that.
        setTimeout(() => {
          if (listeners.size > 0 || stop === undefined) return;
          stop.abort();
          // Whoever comes back after all begins anew.
          stop = undefined;
          state = BEGUN;
          shown = state;
          onIdle();
        });
      };
    },
  };
}
