// examples/jwt, run for real: an issuer, a server that believes its tokens, and clients with good and bad ones.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectWithLogin, fetchToken, type Login } from "../../examples/jwt/client.js";
import { type Issuer, startIssuer } from "../../examples/jwt/issuer.js";
import { createJwtServer } from "../../examples/jwt/server.js";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { type Connection, connect, createClient } from "../../src/client/index.js";
import { Code } from "../../src/index.js";

const AUDIENCE = "https://rpc.example.com";
const quiet = { warn: () => undefined, error: () => undefined };

/** An issuer and a server that believes it. */
async function start(lifetimeS: number, clockToleranceS: number) {
  const issuer = await startIssuer({ audience: AUDIENCE, lifetimeS });
  const rules = {
    issuer: issuer.url,
    audience: AUDIENCE,
    jwksUrl: `${issuer.url}/jwks.json`,
    clockToleranceS,
  };
  const server = createJwtServer(rules, { logger: quiet });
  const { url } = await server.listen({ port: 0 });
  const login = (username: string, password: string): Login => ({ issuer: issuer.url, username, password });
  const close = async () => {
    await server.close();
    issuer.close();
  };
  return { issuer, server, url, login, close, rules };
}

const closed = (connection: Connection) =>
  new Promise<{ code: number; reason: string }>((resolve) => {
    connection.on("closed", resolve);
  });

const seconds = (count: number) => Math.floor(Date.now() / 1_000) + count;

describe("an access token", () => {
  let world: Awaited<ReturnType<typeof start>>;
  let issuer: Issuer;

  beforeAll(async () => {
    world = await start(60, 5);
    ({ issuer } = world);
  });
  afterAll(() => world.close());

  const signed = (claims: Record<string, unknown>) => issuer.sign({ sub: "ada", ...claims } as JWTPayload);
  /** With the issuer's name and the name of its key, but by another key. */
  const forged = async () => issuer.sign({ sub: "ada" }, {}, (await generateKeyPair("ES256")).privateKey);
  /** By the public key as if it were a shared secret, which is public as well. */
  const confused = async () => {
    const secret = new TextEncoder().encode(await (await fetch(`${issuer.url}/jwks.json`)).text());
    const claims = { iss: issuer.url, aud: AUDIENCE, sub: "ada", exp: seconds(60) };
    return new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: "key-1", typ: "at+jwt" }).sign(secret);
  };
  const unsigned = async () => {
    const [, claims] = (await signed({})).split(".");
    return `${btoa('{"alg":"none"}').replaceAll("=", "")}.${claims}.`;
  };
  const beyond = async () => {
    const [, ...rest] = (await signed({})).split(".");
    const header = { alg: "ES256", kid: "key-1", typ: "at+jwt", crit: ["new"], new: 1 };
    return [btoa(JSON.stringify(header)).replaceAll("=", ""), ...rest].join(".");
  };
  const changed = async () => {
    const [header, claims = "", signature] = (await signed({})).split(".");
    const other = JSON.stringify({ ...JSON.parse(atob(claims)), sub: "bob" });
    return [header, btoa(other).replaceAll("=", ""), signature].join(".");
  };

  it.each<[string, () => Promise<string> | string, string]>([
    ["none", () => "", "an access token is needed"],
    ["nonsense", () => "nonsense", "the credentials are no access token"],
    ["signed by somebody else", forged, "the access token is not signed by the issuer"],
    ["changed", changed, "the access token is not signed by the issuer"],
    ["without a signature", unsigned, "the access token is signed by another algorithm"],
    ["signed with the public key", confused, "the access token is signed by another algorithm"],
    [
      "for another audience",
      () => signed({ aud: "https://mail.example.com" }),
      "the access token has a wrong aud",
    ],
    [
      "of another issuer",
      () => signed({ iss: "https://evil.example.com" }),
      "the access token has a wrong iss",
    ],
    ["an ID token", () => issuer.sign({ sub: "ada" }, { typ: "JWT" }), "this is no access token"],
    ["beyond understanding", beyond, "the credentials are no access token"],
    ["expired", () => signed({ exp: seconds(-6) }), "the access token has expired"],
    ["not good yet", () => signed({ nbf: seconds(60) }), "the access token has a wrong nbf"],
    ["for nobody", () => signed({ sub: undefined }), "the access token has a wrong sub"],
    ["without an end", () => signed({ exp: undefined }), "the access token has a wrong exp"],
  ])("is turned away with 4401 and the reason: %s", async (_, token, reason) => {
    await using connection = connect(world.url, { credentials: await token() });
    const end = closed(connection);
    const call = createClient(EchoService, connection).echo({});
    await expect(call).rejects.toMatchObject({ code: Code.Unauthenticated, executed: "no" });
    await expect(call).rejects.toThrow(reason);
    expect(await end).toEqual({ code: 4401, reason });
    expect([...world.server.sessions]).toEqual([]);
  });

  it("tells handlers who calls, and what with", async () => {
    await using connection = connectWithLogin(world.url, world.login("ada", "lovelace"));
    const { name, id } = await createClient(EchoService, connection).echo({});
    expect(name).toBe("ada");
    expect(Number(id)).toBeGreaterThan(seconds(50));
    const [session] = [...world.server.sessions];
    expect(session?.identity).toMatchObject({
      id: "ada",
      expiresAt: (Number(id) + 5) * 1_000,
      claims: { iss: issuer.url, aud: AUDIENCE, sub: "ada", scope: "echo repeat" },
    });
  });

  it("opens what its scope says, and no more", async () => {
    const first = async (connection: Connection) => {
      for await (const { number } of createClient(EchoService, connection).repeat({ count: 3 }))
        return number;
      return undefined;
    };
    await using ada = connectWithLogin(world.url, world.login("ada", "lovelace"));
    expect(await first(ada)).toBe(1);
    await using bob = connectWithLogin(world.url, world.login("bob", "builder"));
    await expect(first(bob)).rejects.toMatchObject({ code: Code.PermissionDenied });
    expect(await createClient(EchoService, bob).echo({})).toMatchObject({ name: "bob" });
  });

  it("may be a little old, since clocks differ", async () => {
    await using connection = connect(world.url, { credentials: await signed({ exp: seconds(-1) }) });
    await connection.ready();
  });

  it("may come in the upgrade request too", async () => {
    const authorization = `Bearer ${await signed({})}`;
    await using connection = connect(world.url, { headers: { authorization } });
    expect(await createClient(EchoService, connection).echo({})).toMatchObject({ name: "ada" });
  });

  it("is not given for a wrong password", async () => {
    for (const [username, password] of [
      ["ada", "builder"],
      ["toString", "x"],
      ["", ""],
    ] as const) {
      await expect(fetchToken(world.login(username, password))).rejects.toThrow("400");
    }
  });

  it("has its client come again when the issuer's keys cannot be had", async () => {
    const server = createJwtServer({ ...world.rules, jwksUrl: `${issuer.url}/nothing` }, { logger: quiet });
    const { url } = await server.listen({ port: 0 });
    const connection = connectWithLogin(url, world.login("ada", "lovelace"));
    const { reason } = await new Promise<{ reason: string }>((resolve) => {
      connection.on("reconnecting", resolve);
    });
    expect(reason).toContain("the keys of the issuer cannot be had now");
    await connection.close();
    await server.close();
  });
});

describe("tokens of two seconds", () => {
  let world: Awaited<ReturnType<typeof start>>;
  beforeAll(async () => {
    world = await start(2, 0);
  });
  afterAll(() => world.close());

  it("come and go under one connection, whose calls and streams do not notice", async () => {
    const { url, login, issuer, server } = world;
    await using connection = connectWithLogin(url, login("ada", "lovelace"));
    await connection.ready();
    const states: string[] = [];
    connection.on("state", ({ state }) => states.push(state));
    const client = createClient(EchoService, connection);
    const issuedBefore = issuer.issued;
    const { id: firstToken } = await client.echo({});
    const stream = (async () => {
      const numbers: number[] = [];
      for await (const { number } of client.repeat({ count: 70 })) numbers.push(number);
      return numbers;
    })();
    let calls = 0;
    for (const end = Date.now() + 7_000; Date.now() < end; calls++) {
      expect(await client.echo({})).toMatchObject({ name: "ada" });
      await new Promise((done) => setTimeout(done, 20));
    }
    expect(await stream).toEqual(Array.from({ length: 70 }, (_, index) => index + 1));
    expect(calls).toBeGreaterThan(100);
    expect(states).toEqual([]);
    expect(issuer.issued - issuedBefore).toBeGreaterThanOrEqual(3);
    const { id: lastToken } = await client.echo({});
    expect(Number(lastToken - firstToken)).toBeGreaterThanOrEqual(5);
    expect([...server.sessions]).toHaveLength(1);
  });

  it("end the connection of a client that has no other", async () => {
    const credentials = await fetchToken(world.login("ada", "lovelace"));
    const connection = connect(world.url, { credentials });
    const end = closed(connection);
    await connection.ready();
    expect(await end).toMatchObject({ code: 4401, reason: expect.stringContaining("expired") });
  });
});

it("runs as its README says", async () => {
  const env = { ...process.env, TOKEN_SECONDS: "2", SECONDS: "4" };
  const run = promisify(execFile);
  const { stdout } = await run("node", ["--import", "tsx", "examples/jwt/main.ts"], { env });
  const lines = stdout.trim().split("\n");
  expect(lines[0]).toBe("the connection is open");
  expect(lines.filter((line) => line.startsWith("call ")).length).toBeGreaterThanOrEqual(3);
  expect(lines.at(-2)).toMatch(/^\d+ calls, \d+ tokens, none failed$/);
  expect(lines.at(-1)).toBe("the connection is closed");
  expect(lines.filter((line) => line.startsWith("the connection"))).toHaveLength(2);
});
