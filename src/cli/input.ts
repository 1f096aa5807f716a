import { createReadStream } from "node:fs";
import {
  create,
  type DescMessage,
  type DescMethod,
  fromJson,
  type JsonValue,
  type Message,
  type Registry,
} from "@bufbuild/protobuf";
import { messageOf, UsageError } from "./failure.js";

/**
 * Cuts a text into the JSON documents that follow each other in it, as soon as each is whole: on lines of their own, or over
 * several lines. What it yields need not be valid.
 */
export async function* splitJson(chunks: AsyncIterable<string> | Iterable<string>): AsyncGenerator<string> {
  let pending = "";
  let depth = 0;
  let inString = false;
  let escaped = false;
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const char = chunk[at] ?? "";
      if (inString) {
        if (escaped) escaped = false;
        else if (char === "\\") escaped = true;
        else if (char === '"') inString = false;
        continue;
      }
      if (char === '"') inString = true;
      else if (char === "{" || char === "[") depth++;
      else if (char === "}" || char === "]") depth = Math.max(0, depth - 1);
      // Outside of brackets, numbers and the like end at a space.
      else if (!/\s/.test(char)) continue;
      if (depth > 0 || inString) continue;
      const document = (pending + chunk.slice(from, at + 1)).trim();
      pending = "";
      from = at + 1;
      if (document !== "") yield document;
    }
    pending += chunk.slice(from);
  }
  if (pending.trim() !== "") yield pending.trim();
}

/**
 * The text of `-d`: itself, a file's (`@file`) or that of the standard input (`@-`).
 */
async function* chunksOf(data: string, signal: AbortSignal | undefined): AsyncGenerator<string> {
  if (!data.startsWith("@")) return yield data;
  const path = data.slice(1);
  const stream = path === "-" ? process.stdin : createReadStream(path);
  stream.setEncoding("utf8");
  // Whoever waits for input is to be woken, and nothing is to keep the process.
  const stop = () => stream.destroy();
  signal?.addEventListener("abort", stop);
  if (signal?.aborted === true) stop();
  try {
    for await (const chunk of stream) yield chunk as string;
  } catch (cause) {
    throw new UsageError(`-d ${data} cannot be read: ${messageOf(cause)}`, { cause });
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/**
 * Messages from `-d`, each as soon as it is there, by protobuf's JSON mapping.
 *
 * @param signal ends the reading
 * @throws UsageError that counts the messages from 1 when one is not of that type.
 */
export async function* messagesFrom(
  data: string,
  type: DescMessage,
  registry: Registry,
  signal?: AbortSignal,
): AsyncGenerator<Message> {
  let count = 0;
  for await (const document of splitJson(chunksOf(data, signal))) {
    count++;
    try {
      yield fromJson(type, JSON.parse(document) as JsonValue, { registry });
    } catch (cause) {
      const shown = document.length > 80 ? `${document.slice(0, 80)}…` : document;
      throw new UsageError(`-d: message ${count} is no ${type.typeName}: ${messageOf(cause)}: ${shown}`, {
        cause,
      });
    }
  }
}

/**
 * The one message of `-d`; an empty one when there is none.
 *
 * @throws UsageError when there are several, or the one is not of the method's type.
 */
export async function singleMessageFrom(
  data: string | undefined,
  { input, name }: DescMethod,
  registry: Registry,
  signal?: AbortSignal,
): Promise<Message> {
  const messages: Message[] = [];
  if (data !== undefined) {
    for await (const message of messagesFrom(data, input, registry, signal)) messages.push(message);
    if (messages.length > 1)
      throw new UsageError(`-d: ${name} takes one message, and there are ${messages.length}`);
  }
  return messages[0] ?? create(input);
}
