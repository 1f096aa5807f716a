import { CloseCode } from "../base/close.js";
import type { LinkEvents } from "../driver/link.js";
import type { Schedule } from "../driver/timers.js";
import { ClientHttpLink, type HttpLink } from "./client-link.js";
import { FIRST_BODY_BYTES, LINK_HEADER, VERSION_HEADER } from "./protocol.js";
import { drained, type HttpAnswer, type HttpClient, isOurs, operationHeaders, textOf } from "./request.js";

/** What a {@link HttpDialler} is made with. */
export interface HttpDialInit {
  /** For each link anew: what stands of an old one may be dead without saying so. */
  readonly createClient: () => HttpClient;
  readonly schedule: Schedule;
  /** Longest packet that the server may send. */
  readonly maxPacketBytes: number;
}

/** Why a link could not be opened; as `DialFailure` of the client. */
export interface HttpFailure {
  readonly code: number;
  readonly reason: string;
  readonly by: "server" | "between" | undefined;
}

/** Opens links over HTTP, and remembers between them what the way is like. */
export class HttpDialler {
  readonly init: HttpDialInit;
  /** A streamed answer was held back on its way here. */
  buffered = false;
  /** Most bytes of records that go into a body. */
  bodyBytes: number = FIRST_BODY_BYTES;

  constructor(init: HttpDialInit) {
    this.init = init;
  }

  /** Opens a link; calls `onOpen` or `onFailure`, once and not before it has returned. */
  dial(
    url: string,
    headers: Readonly<Record<string, string>>,
    events: LinkEvents,
    onOpen: (link: HttpLink) => void,
    onFailure: (failure: HttpFailure) => void,
  ): { abort(): void } {
    const abort = new AbortController();
    const { signal } = abort;
    const http = url.replace(/^ws/, "http");
    const client = this.init.createClient();
    signal.addEventListener("abort", () => client.end(), { once: true });
    const open = operationHeaders("open", { ...headers });
    client
      .post(http, open, new Uint8Array(0), signal)
      .then(async (answer) => {
        const id = answer.header(LINK_HEADER);
        if (answer.status === 200 && id !== undefined && isOurs(answer)) {
          await drained(answer);
          if (signal.aborted) return;
          onOpen(new ClientHttpLink(this, client, http, { ...headers, [LINK_HEADER]: id }, events, abort));
          return;
        }
        const text = await textOf(answer);
        client.end();
        if (!signal.aborted) onFailure(failureOf(answer, text));
      })
      .catch((error: unknown) => {
        client.end();
        if (signal.aborted) return;
        const reason = error instanceof Error ? error.message : String(error);
        onFailure({ code: CloseCode.abnormal, reason: `no answer over HTTP: ${reason}`, by: undefined });
      });
    return { abort: () => abort.abort() };
  }
}

/** What an answer means that is no link. */
function failureOf(answer: HttpAnswer, text: string): HttpFailure {
  const { status } = answer;
  const by =
    answer.header(VERSION_HEADER) !== undefined ? "server" : status < 500 ? ("between" as const) : undefined;
  // Only the server's word is final: a portal that wants to be signed in to, or a proxy, may say something else soon.
  const said = by === "server" ? status : 0;
  const code =
    said === 401 ? CloseCode.unauthenticated : said === 403 ? CloseCode.permissionDenied : CloseCode.abnormal;
  return { code, reason: `HTTP ${status}${text === "" ? "" : `: ${text}`}`, by };
}
