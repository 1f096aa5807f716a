import {
  CONTENT_TYPE,
  NUMBER_HEADER,
  OPERATION_HEADER,
  type Operation,
  VERSION,
  VERSION_HEADER,
} from "./protocol.js";
import { joined } from "./records.js";

/** An answer to a request. */
export interface HttpAnswer {
  readonly status: number;
  header(name: string): string | undefined;
  /** Chunks of the body, as they come. May be iterated once, or not at all. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Makes a POST request: what differs between Node and browsers. Rejects when there is no answer. */
export type HttpPost = (
  url: string,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array<ArrayBuffer>,
  signal: AbortSignal,
) => Promise<HttpAnswer>;

/** Where the requests of one link go out. */
export interface HttpClient {
  readonly post: HttpPost;
  /** No request follows: connections that wait for one are given up. */
  end(): void;
}

/** Headers of a request. */
export function operationHeaders(
  what: Operation,
  headers: Readonly<Record<string, string>>,
  number?: number,
): Record<string, string> {
  return {
    ...headers,
    "content-type": CONTENT_TYPE,
    [OPERATION_HEADER]: what,
    ...(number !== undefined && { [NUMBER_HEADER]: String(number) }),
  };
}

/** Whether the server itself has answered. */
export function isOurs(answer: HttpAnswer): boolean {
  return answer.header(VERSION_HEADER) === VERSION;
}

/** What kind of answer it was, for error messages. */
export function whatWas(answer: HttpAnswer): string {
  return `HTTP ${answer.status}${isOurs(answer) ? "" : ", which is not the Hawser server's answer"}`;
}

/** Reads an answer to its end, whatever it says. */
export async function drained(answer: HttpAnswer): Promise<true> {
  for await (const _ of answer.body) {
    // Until it ends, so that its connection can be used again.
  }
  return true;
}

/** Longest text of an error that is looked at. */
const MAX_TEXT_BYTES = 1_024;

/** What an error says. */
export async function textOf(answer: HttpAnswer): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_TEXT_BYTES) break;
  }
  return new TextDecoder().decode(joined(chunks).subarray(0, MAX_TEXT_BYTES)).trim();
}
