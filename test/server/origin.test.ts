// Pages that may connect, and names that a server answers to.
import { request } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { createServer, type ServerOptions } from "../../src/server/index.js";
import { createSourceCheck } from "../../src/server/origin.js";
import { echoRoutes } from "../support/echo.js";

type Patterns = "*" | readonly string[] | undefined;

/** Whether a request is let in; by default one that came over a network. */
function lets(
  headers: Readonly<Record<string, string>>,
  {
    origins,
    hosts,
    localAddress = "10.0.0.7",
    isUpgrade = true,
    behindProxy = false,
  }: {
    origins?: Patterns;
    hosts?: Patterns;
    localAddress?: string;
    isUpgrade?: boolean;
    behindProxy?: boolean;
  } = {},
): boolean {
  const check = createSourceCheck(origins, hosts, behindProxy);
  return check({ headers, localAddress, isUpgrade }) === undefined;
}

describe("Origin", () => {
  const host = "app.example.com";

  it("is not needed: whoever is no browser sends none", () => {
    expect(lets({ host })).toBe(true);
    expect(lets({ host }, { origins: ["https://other.example"] })).toBe(true);
  });

  it.each([
    ["https://app.example.com", host, true],
    ["https://APP.example.com", host, true],
    ["http://app.example.com:80", host, true],
    ["https://app.example.com", "app.example.com:443", true],
    ["https://app.example.com:8443", "app.example.com:8443", true],
    ["https://app.example.com:8443", host, false],
    ["https://example.com", host, false],
    ["https://app.example.com.evil.com", host, false],
    ["https://evil.com", host, false],
    ["null", host, false],
    ["", host, false],
    ["file://", host, false],
  ])("of the same host is let in by default: %s at %s: %s", (origin, at, allowed) => {
    expect(lets({ origin, host: at })).toBe(allowed);
  });

  it.each([
    ["https://app.example.com", "https://app.example.com", true],
    ["https://app.example.com:443", "https://app.example.com", true],
    ["https://*.example.com", "https://a.example.com", true],
    ["https://*.example.com", "https://a.b.example.com", true],
    ["https://*.example.com", "https://example.com", false],
    ["https://*.example.com", "https://badexample.com", false],
    ["https://*.example.com", "http://a.example.com", false],
    ["https://*.example.com", "https://a.example.com:444", false],
    ["https://*.example.com:444", "https://a.example.com:444", true],
    ["https://*.example.com", "https://a.example.com.evil.com", false],
    ["https://*.example.com", "https://evil.com/.example.com", false],
    ["http://[::1]:3000", "http://[::1]:3000", true],
    ["https://app.example.com", "null", false],
  ])("list %s, page %s: %s", (pattern, origin, allowed) => {
    expect(lets({ origin, host: "api.other.net" }, { origins: [pattern] })).toBe(allowed);
  });

  it("of any page is let in by a star, and the own host still is beside a list", () => {
    expect(lets({ origin: "https://evil.com", host }, { origins: "*" })).toBe(true);
    expect(lets({ origin: "null", host }, { origins: "*" })).toBe(true);
    expect(lets({ origin: `https://${host}`, host }, { origins: ["https://b.example"] })).toBe(true);
    expect(lets({ origin: "https://c.example", host }, { origins: [] })).toBe(false);
  });

  it.each([
    "app.example.com",
    "https://",
    "https://a/b",
    "https://*",
    "https://a.*.com",
    "*://a.com",
    "https://a b",
  ])("pattern %j is refused when the server is made", (pattern) => {
    expect(() => createServer({ routes: echoRoutes(), allowedOrigins: [pattern] })).toThrow(TypeError);
  });
});

describe("Host", () => {
  const local = { localAddress: "127.0.0.1" };

  it.each([
    ["localhost:8080", true],
    ["app.localhost", true],
    ["127.0.0.1:8080", true],
    ["[::1]:8080", true],
    ["192.168.1.5", true],
    ["evil.com", false],
    ["evil.com:8080", false],
    ["localhost.evil.com", false],
    ["127.0.0.1.evil.com", false],
    ["", false],
  ])("of a connection from this machine must be this machine: %j: %s", (host, allowed) => {
    expect(lets({ host }, local)).toBe(allowed);
    expect(lets({ host }, { localAddress: "::1" })).toBe(allowed);
    expect(lets({ host }, { localAddress: "::ffff:127.0.0.1" })).toBe(allowed);
  });

  it("stops a page whose name was rebound to this machine, though its origin is the same host", () => {
    expect(lets({ host: "evil.com:8080", origin: "http://evil.com:8080" }, local)).toBe(false);
  });

  it.each(["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"])(
    "stops such a page over HTTP too, where it may send %s itself",
    (name) => {
      const headers = { host: "evil.com:8080", origin: "http://evil.com:8080", [name]: "1.2.3.4" };
      const request = { ...local, isUpgrade: false };
      expect(lets(headers, request)).toBe(false);
      expect(lets(headers, { ...request, behindProxy: true })).toBe(true);
      expect(lets(headers, { ...request, hosts: ["evil.com"] })).toBe(true);
    },
  );

  it("may be any behind a proxy on this machine, and over a network", () => {
    expect(lets({ host: "app.example.com", "x-forwarded-for": "1.2.3.4" }, local)).toBe(true);
    expect(lets({ host: "app.example.com" })).toBe(true);
  });

  it("must be listed when there is a list, but for this machine itself", () => {
    const hosts = ["example.com", "*.example.com"];
    expect(lets({ host: "example.com:8443" }, { hosts })).toBe(true);
    expect(lets({ host: "a.example.com" }, { hosts, ...local })).toBe(true);
    expect(lets({ host: "other.com" }, { hosts })).toBe(false);
    expect(lets({ host: "localhost:8080" }, { hosts, ...local })).toBe(true);
    expect(lets({ host: "localhost:8080" }, { hosts })).toBe(false);
    expect(lets({ host: "evil.com" }, { hosts: "*", ...local })).toBe(true);
  });
});

describe("a server", () => {
  const closers: (() => Promise<unknown>)[] = [];

  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });

  async function upgrade(options: Partial<ServerOptions>, headers: Readonly<Record<string, string>>) {
    const server = createServer({ routes: echoRoutes(), ...options });
    closers.push(() => server.close());
    const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
    return new Promise<string>((resolve) => {
      const asked = request({
        port,
        host: "127.0.0.1",
        path: "/rpc",
        headers: {
          connection: "Upgrade",
          upgrade: "websocket",
          "sec-websocket-version": "13",
          "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
          "sec-websocket-protocol": "hawser.v1",
          ...headers,
        },
      });
      asked.on("upgrade", (_response, socket) => {
        socket.destroy();
        resolve("101");
      });
      asked.on("response", (response) => {
        let body = "";
        response.on("data", (chunk: Buffer) => {
          body += chunk.toString();
        });
        response.on("end", () => resolve(`${response.statusCode} ${body.trim()}`));
      });
      asked.end();
    });
  }

  it("says which option would let a page in", async () => {
    const origin = "https://evil.com";
    expect(await upgrade({}, { origin })).toBe(
      '403 pages of "https://evil.com" may not connect (allowedOrigins)',
    );
    expect(await upgrade({ allowedOrigins: [origin] }, { origin })).toBe("101");
    expect(await upgrade({}, { host: "evil.com" })).toBe(
      '403 the host "evil.com" is not allowed here (allowedHosts)',
    );
    expect(await upgrade({ allowedHosts: ["evil.com"] }, { host: "evil.com" })).toBe("101");
  });
});
