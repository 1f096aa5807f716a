import type { IncomingMessage, ServerResponse } from "node:http";
import type { createSourceCheck } from "../server/origin.js";
import { type Assets, loadAssets } from "./assets.js";

/** What the page may do: load its own files and open its own socket; nothing inline, nothing from elsewhere, in nobody's frame. */
const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** What the page asks for to find its server. */
const CONFIG = "config.json";

/** How the page is served. */
export interface WebInit {
  /** Without a slash at the end. */
  readonly path: string;
  readonly checkSource: ReturnType<typeof createSourceCheck>;
  /** Path of the WebSocket; `undefined` as long as none is served. */
  readonly rpcPath: () => string | undefined;
  readonly onError: (error: unknown) => void;
}

/** Serves the page. Its files hold nothing about the server, and are the same for everybody. */
export class Web {
  readonly #init: WebInit;
  #assets: Promise<Assets> | undefined;

  constructor(init: WebInit) {
    this.#init = init;
  }

  /** Answers a request for the page or one of its files. Whether it was for one. */
  answer(request: IncomingMessage, response: ServerResponse): boolean {
    const { path, checkSource } = this.#init;
    const { url = "", method, headers } = request;
    const [wanted = ""] = url.split("?", 1);
    if (wanted !== path && !wanted.startsWith(`${path}/`)) return false;
    const refused = checkSource({
      headers,
      localAddress: request.socket.localAddress,
      isUpgrade: false,
    });
    if (refused !== undefined) say(response, 403, refused);
    else if (method !== "GET" && method !== "HEAD") say(response, 405, "GET only", { allow: "GET, HEAD" });
    // Its files are named from here. Relative, because a proxy may have put something in front.
    else if (wanted === path)
      say(response, 308, "", { location: `${path.slice(path.lastIndexOf("/") + 1)}/` });
    else
      this.#send(request, response, wanted.slice(path.length + 1)).catch((error: unknown) => {
        this.#init.onError(error);
        if (!response.headersSent) say(response, 500, "the page cannot be served; the server's log says why");
      });
    return true;
  }

  async #send({ headers, method }: IncomingMessage, response: ServerResponse, name: string): Promise<void> {
    if (name === CONFIG) {
      const body = JSON.stringify({ rpcPath: this.#init.rpcPath() ?? null });
      response.writeHead(200, {
        ...HEADERS,
        "content-type": "application/json",
        "cache-control": "no-store",
      });
      response.end(method === "HEAD" ? undefined : body);
      return;
    }
    this.#assets ??= loadAssets();
    const asset = (await this.#assets).get(name === "" ? "index.html" : name);
    if (asset === undefined) return say(response, 404, "the inspector has no such file");
    const { type, body, etag } = asset;
    if (headers["if-none-match"] === etag) {
      response.writeHead(304, { ...HEADERS, etag });
      response.end();
      return;
    }
    response.writeHead(200, {
      ...HEADERS,
      etag,
      "cache-control": "no-cache",
      "content-type": type,
      "content-length": body.length,
    });
    response.end(method === "HEAD" ? undefined : body);
  }
}

function say(
  response: ServerResponse,
  status: number,
  text: string,
  more: Readonly<Record<string, string>> = {},
): void {
  const type = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" };
  response.writeHead(status, { ...HEADERS, ...type, ...more });
  response.end(`${text}\n`);
}
