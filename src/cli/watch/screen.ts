import { emitKeypressEvents } from "node:readline";
import { createLogUpdate } from "log-update";
import type { GetNodeResponse, Sample, WatchResponse } from "../../../gen/hawser/inspect/v1/inspect_pb.js";
import type { Order } from "./orders.js";
import { pictureOf } from "./view.js";

/** Seconds of samples that a picture may show. */
const KEPT = 300;

/** A terminal that shows one picture after the other in the same place. */
export interface Screen {
  /** @param first samples of before do not count any more */
  show(response: WatchResponse, first: boolean, order: Order): void;
  /** Adds a listener for the wish to sort otherwise; returns how to remove it. */
  onSort(listener: () => void): () => void;
  /** Leaves the last picture on the terminal, and everything else as it was. */
  close(): void;
}

/**
 * Takes a terminal over.
 *
 * @param state of the connection
 * @param onQuit `q` or Ctrl-C was pressed
 */
export function createScreen(
  url: string,
  node: GetNodeResponse,
  state: () => string,
  onQuit: () => void,
): Screen {
  const { stdin, stdout } = process;
  const draw = createLogUpdate(stdout);
  let samples: readonly Sample[] = [];
  let last: (() => string) | undefined;
  let sort: (() => void) | undefined;
  const redraw = () => {
    if (last !== undefined) draw(last());
  };
  const onKey = (_: unknown, key: { readonly name?: string; readonly ctrl?: boolean }) => {
    if (key.name === "q" || (key.ctrl === true && key.name === "c")) onQuit();
    else if (key.name === "s") sort?.();
  };
  stdout.on("resize", redraw);
  if (stdin.isTTY) {
    emitKeypressEvents(stdin);
    stdin.setRawMode(true);
    stdin.on("keypress", onKey).resume();
  }
  return {
    show(response, first, order) {
      samples = [...(first ? [] : samples), ...response.samples].slice(-KEPT);
      last = () => {
        // Some terminals do not know their size, and say 0.
        const size = { columns: stdout.columns || 80, rows: stdout.rows || 24 };
        return pictureOf({ url, node, state: state(), response, samples, order }, size);
      };
      redraw();
    },
    onSort(listener) {
      sort = listener;
      return () => {
        sort = undefined;
      };
    },
    close() {
      stdout.off("resize", redraw);
      if (stdin.isTTY) {
        stdin.off("keypress", onKey);
        stdin.setRawMode(false);
        stdin.pause();
      }
      draw.done();
    },
  };
}
