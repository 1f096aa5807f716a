import { readFileSync } from "node:fs";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { Connection } from "../client/connection.js";
import { connect } from "../client/index.js";
import { type ConnectOptions, checkUrl } from "../client/options.js";
import { messageOf, UsageError } from "./failure.js";
import type { Narrator } from "./output.js";

/** How to get into a server. */
export interface TargetArguments {
  /** `name: value` each. */
  readonly headers: readonly string[];
  readonly token: string | undefined;
  readonly tokenIn: "hello" | "subprotocol" | "header";
  readonly cacert: string | undefined;
  readonly insecure: boolean;
  /** Longest time until the first connection is open, in milliseconds. */
  readonly connectTimeout: number;
}

/** Path that servers have unless they choose another one. */
const DEFAULT_PATH = "/rpc";

/**
 * The URL that is meant: `localhost:8080` is `ws://localhost:8080/rpc`.
 *
 * @throws UsageError
 */
export function targetUrl(text: string): string {
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `ws://${text}`;
  try {
    const url = new URL(checkUrl(whole));
    const hasPath = /^[^?#]*:\/\/[^/?#]*\//.test(whole);
    if (!hasPath) url.pathname = DEFAULT_PATH;
    return url.href;
  } catch (cause) {
    throw new UsageError(`"${text}" is no URL of a server, such as ws://localhost:8080/rpc`, { cause });
  }
}

/**
 * Metadata of the calls.
 *
 * @throws UsageError
 */
export function targetHeaders({ headers }: TargetArguments): [string, string][] {
  return headers.map((text) => {
    const colon = text.indexOf(":");
    const pair: [string, string] = [text.slice(0, colon).trim(), text.slice(colon + 1).trim()];
    try {
      if (colon < 1) throw new TypeError("there is no colon");
      new Headers([pair]);
      return pair;
    } catch (cause) {
      throw new UsageError(`-H "${text}" is no header, such as "name: value": ${messageOf(cause)}`, {
        cause,
      });
    }
  });
}

/**
 * Options of connections to a target.
 *
 * @throws UsageError
 */
export function connectOptions(target: TargetArguments): ConnectOptions {
  const { token = process.env["HAWSER_TOKEN"], cacert, insecure } = target;
  const tls = {
    ...(cacert === undefined ? {} : { ca: readOption("--cacert", cacert) }),
    ...(insecure ? { rejectUnauthorized: false } : {}),
  };
  return {
    ...(token === undefined || token === ""
      ? {}
      : { credentials: token.startsWith("@") ? readOption("--token", token.slice(1)).trim() : token }),
    credentialsIn: target.tokenIn,
    tls,
    handshakeTimeoutMs: target.connectTimeout,
  };
}

function readOption(option: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new UsageError(`${option}: ${path} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

/**
 * Opens a connection. Nobody waits for a server that is not there: the first attempt counts.
 *
 * @param signal gives up
 * @throws RpcError UNAVAILABLE, UNAUTHENTICATED or PERMISSION_DENIED, with what the server said; CANCELLED.
 */
export async function dial(url: string, options: ConnectOptions, signal?: AbortSignal): Promise<Connection> {
  const connection = connect(url, options);
  let off: () => void = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    const cancel = () => reject(new RpcError("interrupted", Code.Canceled, { executed: "no" }));
    if (signal?.aborted === true) cancel();
    else signal?.addEventListener("abort", cancel, { once: true });
    off = connection.on("reconnecting", ({ code, reason }) => {
      reject(
        new RpcError(
          `cannot connect to ${url}: ${reason === "" ? "no reason given" : reason} (${code})`,
          Code.Unavailable,
          {
            executed: "no",
          },
        ),
      );
    });
  });
  try {
    await Promise.race([connection.ready(), failed]);
    return connection;
  } catch (error) {
    await connection.close();
    throw error;
  } finally {
    off();
    failed.catch(() => undefined);
  }
}

/**
 * Does something with a connection, which is opened when it is first asked for, and closed in the end.
 *
 * @throws what `work` throws, or what {@link dial} does.
 */
export async function withConnection<T>(
  url: string,
  options: ConnectOptions,
  narrator: Narrator,
  work: (connect: () => Promise<Connection>) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  let opening: Promise<Connection> | undefined;
  const open = async () => {
    const start = performance.now();
    const connection = await dial(url, options, signal);
    narrator.connected(connection, url, performance.now() - start);
    return connection;
  };
  try {
    return await work(() => {
      opening ??= open();
      return opening;
    });
  } finally {
    const connection = await opening?.catch(() => undefined);
    await connection?.close();
  }
}
