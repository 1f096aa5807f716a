import { isIP } from "node:net";

/** A scheme, a host and a port that pages may come from; the first label of the host may be `*`. */
interface OriginPattern {
  readonly scheme: string;
  readonly host: HostPattern;
  readonly port: string;
}

/** A host name, or all names that end with it. */
interface HostPattern {
  readonly name: string;
  readonly wildcard: boolean;
}

/** What a request says of where it comes from and of whom it means. */
export interface RequestSource {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Address that the connection came in at. */
  readonly localAddress: string | undefined;
  /** It asks for a WebSocket: a page chooses none of its headers, as it does with `fetch`. */
  readonly isUpgrade: boolean;
}

/** Headers by which a proxy tells that it is one. A page can send them, too, but not when it opens a WebSocket. */
const FORWARDED = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

/**
 * Makes the check of `Origin` and `Host` for upgrade requests and those that take their place. Browsers let any page open a WebSocket to any server, with
 * its cookies: the origin is all that tells them apart (RFC 6455 section 10.2).
 *
 * @param origins `"*"`, or origins like `https://app.example.com` and `https://*.example.com`; `undefined`: the same host.
 * @param hosts `"*"`, or names like `example.com` and `*.example.com`; `undefined`: any, but for connections from this machine
 * itself, which must mean this machine (DNS rebinding).
 * @param behindProxy every request comes through a proxy. Otherwise only a request for a WebSocket is believed that it came
 * through one: a page whose name was rebound to this machine is of the same origin, and may say so by `fetch`.
 * @returns why a request is turned away; `undefined` when it is not
 * @throws TypeError that names a pattern which is none
 */
export function createSourceCheck(
  origins: "*" | readonly string[] | undefined,
  hosts: "*" | readonly string[] | undefined,
  behindProxy: boolean,
): (source: RequestSource) => string | undefined {
  const originPatterns = origins === "*" ? undefined : (origins ?? []).map(parseOrigin);
  const hostPatterns = hosts === undefined || hosts === "*" ? undefined : hosts.map(parseHost);
  const allowed = (host: string) => hostPatterns?.some((pattern) => matches(pattern, host)) === true;

  return ({ headers, localAddress, isUpgrade }) => {
    const { origin } = headers;
    const host = hostNameOf(headers["host"]);
    if (hosts !== "*" && !allowed(host)) {
      const mayBeForwarded = isUpgrade || behindProxy;
      const isLocal = isLoopback(localAddress) && !(mayBeForwarded && wasForwarded(headers));
      const isOwn = isLocal && isThisMachine(host);
      if ((isLocal || hosts !== undefined) && !isOwn)
        return `the host ${JSON.stringify(host)} is not allowed here (allowedHosts)`;
    }
    if (originPatterns === undefined || typeof origin !== "string") return undefined;
    if (isSameHost(origin, headers["host"])) return undefined;
    const parsed = parseUrl(origin);
    if (parsed !== undefined) {
      const { protocol, hostname, port } = parsed;
      for (const pattern of originPatterns)
        if (pattern.scheme === protocol && pattern.port === port && matches(pattern.host, hostname))
          return undefined;
    }
    return `pages of ${JSON.stringify(origin)} may not connect (allowedOrigins)`;
  };
}

/** Whether an address is one of the machine itself. */
export function isLoopback(address: string | undefined): boolean {
  return address === "::1" || /^(::ffff:)?127\./.test(address ?? "");
}

/** Whether a request comes from this machine, and no proxy says that it has passed it on. */
export function isFromHere(request: {
  readonly headers: RequestSource["headers"];
  readonly remoteAddress: string | undefined;
}): boolean {
  return isLoopback(request.remoteAddress) && !wasForwarded(request.headers);
}

function wasForwarded(headers: RequestSource["headers"]): boolean {
  return FORWARDED.some((name) => headers[name] !== undefined);
}

function matches({ name, wildcard }: HostPattern, host: string): boolean {
  return wildcard ? host.endsWith(`.${name}`) && host.length > name.length + 1 : host === name;
}

function isSameHost(origin: string, host: string | string[] | undefined): boolean {
  const page = parseUrl(origin);
  if (page === undefined || typeof host !== "string") return false;
  // The scheme's own port may be left out on one side and not on the other.
  return parseUrl(`${page.protocol}//${host}`)?.host === page.host;
}

function isThisMachine(host: string): boolean {
  // An address cannot be rebound to another one.
  return host === "localhost" || host.endsWith(".localhost") || isIP(host.replace(/^\[(.*)\]$/, "$1")) !== 0;
}

function hostNameOf(host: string | string[] | undefined): string {
  return typeof host === "string" ? (parseUrl(`http://${host}`)?.hostname ?? "") : "";
}

function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

function parseOrigin(text: string): OriginPattern {
  const match = /^([a-z][a-z0-9+.-]*:)\/\/([^/:?#@]+|\[[^\]]+\])(?::(\d+))?$/.exec(text.toLowerCase());
  if (match === null) {
    throw new TypeError(
      `allowedOrigins: ${JSON.stringify(text)} is no origin; write "https://app.example.com" or "https://*.example.com"`,
    );
  }
  const [, scheme = "", host = "", port = ""] = match;
  // As URL has it: no port where it is the scheme's own.
  const own = parseUrl(`${scheme}//host:${port === "" ? "0" : port}`)?.port ?? port;
  return { scheme, host: parseHost(host), port: port === "" ? "" : own };
}

function parseHost(text: string): HostPattern {
  const host = text.toLowerCase();
  const wildcard = host.startsWith("*.");
  const name = wildcard ? host.slice(2) : host;
  if (name === "" || /[*/?#@:\s]/.test(name.replace(/^\[.*\]$/, ""))) {
    throw new TypeError(
      `${JSON.stringify(text)} is no host; write "example.com", or "*.example.com" for everything below it`,
    );
  }
  return { name, wildcard };
}
