import { once } from "node:events";
import { type DescMessage, type Message, type Registry, toJsonString } from "@bufbuild/protobuf";
import { codeName } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { Connection } from "../client/connection.js";
import { messageOf } from "./failure.js";
import { durationText } from "./values.js";

/** Prints a line on the standard output; resolves when there is room for more. */
export async function printLine(line: string): Promise<void> {
  if (!process.stdout.write(`${line}\n`)) await once(process.stdout, "drain");
}

/** How messages are written as JSON. */
export interface JsonOptions {
  readonly registry: Registry;
  /** Fields with their default values too. */
  readonly emitDefaults: boolean;
}

/** A message on one line of JSON, by protobuf's mapping. */
export function jsonLine(type: DescMessage, message: Message, options: JsonOptions): string {
  return toJsonString(type, message, {
    registry: options.registry,
    alwaysEmitImplicit: options.emitDefaults,
  });
}

/** What went wrong, for the standard error: one line, and one for each detail. */
export function errorLines(error: unknown, registry?: Registry): string[] {
  const lines = [`hawser: ${messageOf(error)}`];
  if (!(error instanceof RpcError)) return lines;
  for (const { type, value } of error.details) {
    const schema = registry?.getMessage(type);
    const found = schema === undefined ? undefined : error.findDetails(schema)[0];
    const text =
      schema === undefined || found === undefined
        ? `${Buffer.from(value).toString("base64")} (base64; the schema does not have this type)`
        : toJsonString(schema, found, registry === undefined ? {} : { registry });
    lines.push(`  detail ${type}: ${text}`);
  }
  return lines;
}

/** Tells on the standard error what happens beside the messages, when that is wanted (`-v`). */
export interface Narrator {
  /** `*`: what happens. */
  say(words: string): void;
  /** `>`: metadata that goes out; `<`: that comes in. */
  headers(mark: ">" | "<", headers: Iterable<[string, string]>): void;
  /** The connection is open; what becomes of it is told from here on. */
  connected(connection: Connection, url: string, tookMs: number): void;
  /** The call is over. */
  outcome(error: unknown, tookMs: number, connection: Connection): void;
}

const SILENT: Narrator = {
  say: () => undefined,
  headers: () => undefined,
  connected: () => undefined,
  outcome: () => undefined,
};

/** Makes a {@link Narrator}. */
export function createNarrator(verbose: boolean): Narrator {
  if (!verbose) return SILENT;
  const write = (line: string) => process.stderr.write(`${line}\n`);
  const say = (words: string) => write(`* ${words}`);
  return {
    say,
    headers(mark, headers) {
      for (const [name, value] of headers) write(`${mark} ${name}: ${value}`);
    },
    connected(connection, url, tookMs) {
      say(`connected to ${url} in ${timeText(tookMs)}, session ${connection.sessionId}`);
      connection.on("reconnecting", ({ attempt, delayMs, reason, code }) =>
        say(`the link broke: ${reason} (${code}); attempt ${attempt} in ${durationText(delayMs)}`),
      );
      connection.on("resumed", ({ downMs }) => say(`back after ${durationText(downMs)}, nothing is lost`));
      connection.on("lost", ({ downMs }) =>
        say(`back after ${durationText(downMs)}, in a new session: the server no longer had the old one`),
      );
    },
    outcome(error, tookMs, connection) {
      const name = error === undefined ? "OK" : error instanceof RpcError ? codeName(error.code) : "failed";
      const executed = error instanceof RpcError ? `, executed: ${error.executed}` : "";
      const rtt = connection.rtt === undefined ? "" : `, round trip ${timeText(connection.rtt)}`;
      say(`${name} in ${timeText(tookMs)}${executed}${rtt}`);
    },
  };
}

function timeText(ms: number): string {
  return ms < 1_000 ? `${ms.toFixed(1)} ms` : durationText(ms);
}
