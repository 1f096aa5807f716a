import { toJsonString } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { InspectService, WatchResponseSchema } from "../../../gen/hawser/inspect/v1/inspect_pb.js";
import { Code } from "../../base/code.js";
import { RpcError } from "../../base/error.js";
import type { Connection } from "../../client/connection.js";
import { createClient } from "../../rpc/client.js";
import { EXIT } from "../failure.js";
import { createNarrator, printLine } from "../output.js";
import { connectOptions, type TargetArguments, targetHeaders, withConnection } from "../target.js";
import type { ViewArguments } from "./arguments.js";
import { nextOrder, ORDERS } from "./orders.js";
import { createScreen } from "./screen.js";
import { summaryOf } from "./view.js";

/** What `hawser watch` is told. */
export interface WatchArguments {
  readonly url: string;
  readonly view: ViewArguments;
  readonly target: TargetArguments;
}

/** Rows of each list that are asked for. */
const ROWS = 50;
/** Seconds of the line of blocks. */
const HISTORY = 120;
const AGAIN_MS = 1_000;

/**
 * Shows a node live, until it is called off: on a terminal as one picture, elsewhere a line for each look.
 *
 * @param interrupted ends it, which is no failure
 * @returns the exit code
 * @throws UsageError, or RpcError when the server cannot be reached or does not let this user look
 */
export function runWatch(args: WatchArguments, interrupted: AbortSignal): Promise<number> {
  const { url, view, target } = args;
  const headers = targetHeaders(target);
  const stop = new AbortController();
  interrupted.addEventListener("abort", () => stop.abort());
  if (interrupted.aborted) stop.abort();
  const { signal } = stop;
  return withConnection(
    url,
    connectOptions(target),
    createNarrator(false),
    async (connect) => {
      const connection = await connect();
      const client = createClient(InspectService, connection);
      const node = await client
        .getNode({}, { headers, signal, timeoutMs: 10_000 })
        .catch((error: unknown) => {
          if (signal.aborted) return undefined;
          throw explained(error);
        });
      if (node === undefined) return EXIT.ok;
      const screen =
        view.json || !process.stdout.isTTY
          ? undefined
          : await createScreen(
              url,
              node,
              () => connection.state,
              () => stop.abort(),
            );
      let order = ORDERS[0];
      let looks = 0;
      try {
        while (!signal.aborted) {
          // Another order begins another watch.
          const again = new AbortController();
          const off = screen?.onSort(() => {
            order = nextOrder(order);
            again.abort();
          });
          try {
            const request = {
              interval: durationFromMs(view.interval),
              samples: { last: screen === undefined ? 1 : HISTORY },
              sessions: { limit: ROWS, order: order.order, ascending: order.ascending },
              calls: { limit: view.json ? ROWS : 1 },
              methods: {},
              topics: { limit: ROWS },
            };
            const options = { headers, signal: AbortSignal.any([signal, again.signal]) };
            let first = true;
            for await (const response of client.watch(request, options)) {
              if (screen !== undefined) screen.show(response, first, order);
              else
                await printLine(
                  view.json ? toJsonString(WatchResponseSchema, response) : summaryOf(response),
                );
              first = false;
              if (++looks === view.count) return EXIT.ok;
            }
          } catch (error) {
            if (signal.aborted) return EXIT.ok;
            if (!again.signal.aborted) await later(error, connection, signal);
          } finally {
            off?.();
          }
        }
        return EXIT.ok;
      } finally {
        screen?.close();
      }
    },
    signal,
  ).catch((error: unknown) => {
    if (signal.aborted) return EXIT.ok;
    throw error;
  });
}

/** Waits for the server to come back, which the connection sees to. @throws what is for good */
async function later(error: unknown, connection: Connection, signal: AbortSignal): Promise<void> {
  if (!(error instanceof RpcError) || error.code !== Code.Unavailable || connection.state === "closed")
    throw explained(error);
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, AGAIN_MS);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function explained(error: unknown): unknown {
  if (!(error instanceof RpcError) || error.code !== Code.Unimplemented) return error;
  return new RpcError(
    'the server has no inspector: give createServer() the option inspector: inspector({ allow }), from hawser/inspector; on your own machine, allow: "loopback" will do',
    Code.Unimplemented,
    { executed: "no", cause: error },
  );
}
