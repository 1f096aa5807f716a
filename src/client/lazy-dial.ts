import { CloseCode } from "../base/close.js";
import type { LinkEvents } from "../driver/link.js";
import type { HttpLink } from "../fallback/client-link.js";
import type { HttpDialler } from "../fallback/dialler.js";
import type { Dial, DialFailure, DialRequest } from "./platform.js";

/** `dialHttp` of a platform. */
export type HttpDial = (
  url: string,
  request: DialRequest,
  events: LinkEvents,
  onOpen: (link: HttpLink) => void,
  onFailure: (failure: DialFailure) => void,
) => Dial;

/** Opens links over HTTP by code that is loaded when it is needed for the first time: most clients never do. */
export function lazyDial(load: () => Promise<HttpDialler>): HttpDial {
  let loading: Promise<HttpDialler> | undefined;
  return (url, { headers }, events, onOpen, onFailure) => {
    let dial: Dial | undefined;
    let aborted = false;
    loading ??= load();
    loading.then(
      (dialler) => {
        if (!aborted) dial = dialler.dial(url, headers, events, onOpen, onFailure);
      },
      (error: unknown) => {
        loading = undefined;
        if (!aborted)
          onFailure({ code: CloseCode.abnormal, reason: `the fallback cannot be loaded: ${String(error)}` });
      },
    );
    return {
      abort() {
        aborted = true;
        dial?.abort();
      },
    };
  };
}
