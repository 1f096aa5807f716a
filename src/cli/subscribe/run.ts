import type { DescMessage, DescMethodServerStreaming } from "@bufbuild/protobuf";
import { RpcError } from "../../base/error.js";
import { SingleMessage } from "../../rpc/client.js";
import type { TopicGap } from "../../rpc/topic.js";
import { EXIT, exitCodeOf, UsageError } from "../failure.js";
import { singleMessageFrom } from "../input.js";
import type { SchemaArguments } from "../options.js";
import { createNarrator, errorLines, jsonLine, printLine } from "../output.js";
import { findMethod, schemaOf } from "../schema/schema.js";
import { connectOptions, type TargetArguments, targetHeaders, withConnection } from "../target.js";
import type { SubscriptionArguments } from "./arguments.js";

/** What `hawser subscribe` is told. */
export interface SubscribeArguments {
  readonly url: string;
  readonly method: string;
  readonly subscription: SubscriptionArguments;
  readonly schema: SchemaArguments;
  readonly target: TargetArguments;
}

/**
 * Follows a topic, and prints each publication on a line. Breaks are healed; what is missing is told.
 *
 * @param signal ends it, which is no failure
 * @returns the exit code
 * @throws UsageError, or RpcError when the call could not be made
 */
export function runSubscribe(args: SubscribeArguments, signal: AbortSignal): Promise<number> {
  const { subscription, target, url } = args;
  if (subscription.from !== undefined && subscription.last !== undefined)
    throw new UsageError("--from and --last exclude each other");
  const headers = targetHeaders(target);
  const narrator = createNarrator(subscription.verbose);
  return withConnection(
    url,
    connectOptions(target),
    narrator,
    async (connect) => {
      const { method, registry } = await findMethod(schemaOf(args.schema, connect, headers), args.method);
      if (method.methodKind !== "server_streaming")
        throw new UsageError(
          `${args.method} is ${method.methodKind.replace("_", " ")}; topics come from server streaming`,
        );
      const request = await singleMessageFrom(subscription.data, method, registry, signal);
      const connection = await connect();
      const printer = createPrinter(subscription.positions);
      const start = performance.now();
      try {
        const response = await connection.stream(
          method as DescMethodServerStreaming<DescMessage, DescMessage>,
          new SingleMessage(request),
          {
            signal,
            headers,
            topic: {
              last: subscription.last,
              after: subscription.from,
              onPosition: printer.at,
              onGap: printer.gap,
              onStale: (stale) =>
                narrator.say(
                  stale ? "other nodes cannot be heard at the moment" : "other nodes are heard again",
                ),
            },
          },
        );
        let count = 0;
        const json = { registry, emitDefaults: subscription.emitDefaults };
        for await (const message of response.message) {
          if (count++ === 0) narrator.headers("<", response.header);
          await printer.message(jsonLine(method.output, message, json));
          if (count === subscription.count) break;
        }
        narrator.outcome(undefined, performance.now() - start, connection);
        return EXIT.ok;
      } catch (error) {
        if (signal.aborted) return EXIT.ok;
        if (!(error instanceof RpcError)) throw error;
        narrator.outcome(error, performance.now() - start, connection);
        process.stderr.write(`${errorLines(error, registry).join("\n")}\n`);
        return exitCodeOf(error);
      } finally {
        printer.end();
      }
    },
    signal,
  );
}

/** Prints messages, positions and gaps in their order. */
function createPrinter(positions: boolean): {
  at(position: string): void;
  gap(gap: TopicGap): void;
  message(json: string): Promise<void>;
  end(): void;
} {
  let last = "";
  // Gaps are told between two messages, by a callback that cannot wait.
  let gaps: string[] = [];
  const writeGaps = async () => {
    const due = gaps;
    gaps = [];
    for (const line of due) await printLine(line);
  };
  return {
    at(position) {
      last = position;
    },
    gap({ reason, from, to }) {
      process.stderr.write(`hawser: gap: messages between ${from} and ${to} are missing (${reason})\n`);
      if (positions) gaps.push(JSON.stringify({ gap: { reason, from, to } }));
    },
    async message(json) {
      await writeGaps();
      await printLine(positions ? `{"position":${JSON.stringify(last)},"message":${json}}` : json);
    },
    end() {
      for (const line of gaps) process.stdout.write(`${line}\n`);
      if (last !== "") process.stderr.write(`hawser: go on from here with --from ${last}\n`);
    },
  };
}
