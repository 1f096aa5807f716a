import { HttpDialler } from "./dialler.js";
import type { HttpAnswer, HttpPost } from "./request.js";

/** Links over HTTP by the platform's own `fetch`: in browsers, workers, Deno and Bun. */
export function webDialler(maxPacketBytes: number): HttpDialler {
  return new HttpDialler({
    maxPacketBytes,
    schedule: (task, delayMs) => {
      const handle = setTimeout(task, delayMs);
      return () => clearTimeout(handle);
    },
    // Whose connections the browser keeps to itself.
    createClient: () => ({ post, end: () => undefined }),
  });
}

const post: HttpPost = async (url, headers, body, signal) => {
  const response = await fetch(url, {
    method: "POST",
    // Those that an application has asked for are for Node only, as with a WebSocket.
    headers: Object.fromEntries(
      Object.entries(headers).filter(([name]) => /^(hawser-|content-type$|authorization$)/.test(name)),
    ),
    body,
    signal,
    // As with a WebSocket: it carries the cookies of its host, whatever page it belongs to.
    credentials: "include",
    cache: "no-store",
    redirect: "error",
  });
  return answerOf(response);
};

function answerOf(response: Response): HttpAnswer {
  return {
    status: response.status,
    header: (name) => response.headers.get(name) ?? undefined,
    body: chunksOf(response),
  };
}

/** Not every browser can iterate a stream. */
async function* chunksOf(response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  try {
    for (let step = await reader.read(); !step.done; step = await reader.read()) yield step.value;
  } finally {
    // What nobody reads is not sent on; there may be nobody to cancel any more.
    reader.cancel().catch(() => undefined);
  }
}
