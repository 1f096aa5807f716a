import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { type AgentOptions, Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { HttpDialler } from "./dialler.js";
import type { HttpAnswer, HttpClient } from "./request.js";

/**
 * Links over HTTP in Node.
 *
 * @param tls as in `tls.connect`, for `https:`
 */
export function nodeDialler(maxPacketBytes: number, tls: object): HttpDialler {
  return new HttpDialler({
    maxPacketBytes,
    schedule: (task, delayMs) => {
      const handle = setTimeout(task, delayMs);
      return () => clearTimeout(handle);
    },
    createClient: () => createClient(tls),
  });
}

function createClient(tls: object): HttpClient {
  // Connections that wait do not keep the process alive.
  const plain = new HttpAgent({ keepAlive: true });
  const secure = new HttpsAgent({ ...(tls as AgentOptions), keepAlive: true });
  return {
    post: (url, headers, body, signal) =>
      new Promise((resolve, reject) => {
        const options = {
          method: "POST",
          headers: { ...headers, "content-length": String(body.length) },
        };
        const onAnswer = (response: IncomingMessage) => resolve(answerOf(response));
        const request = url.startsWith("https:")
          ? httpsRequest(url, { ...options, agent: secure }, onAnswer)
          : httpRequest(url, { ...options, agent: plain }, onAnswer);
        const abort = () => void request.destroy();
        signal.addEventListener("abort", abort);
        request.once("close", () => signal.removeEventListener("abort", abort));
        request.on("error", reject);
        if (signal.aborted) abort();
        else request.end(body);
      }),
    end() {
      plain.destroy();
      secure.destroy();
    },
  };
}

function answerOf(response: IncomingMessage): HttpAnswer {
  // Whoever reads it gets it too; when nobody does, it is nobody's.
  response.on("error", () => undefined);
  return {
    status: response.statusCode ?? 0,
    header(name) {
      const value = response.headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    },
    body: response,
  };
}
