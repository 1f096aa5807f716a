// A stand-in for the identity provider that you have: it gives out short-lived access tokens, and publishes its public key.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWTHeaderParameters,
  type JWTPayload,
  SignJWT,
} from "jose";

/** Who may have a token, and for what. */
const ACCOUNTS: Readonly<Record<string, { readonly password: string; readonly scope: string }>> = {
  ada: { password: "lovelace", scope: "echo repeat" },
  bob: { password: "builder", scope: "echo" },
};

const KEY_ID = "key-1";

/** Options of {@link startIssuer}. */
export interface IssuerOptions {
  /** Who the tokens are for. */
  readonly audience: string;
  /** How long a token is good, in seconds. Short is safe: a token that was taken away or stolen works until its end. */
  readonly lifetimeS: number;
}

/** The issuer, running. */
export interface Issuer {
  /** `iss` of its tokens; `/token` and `/jwks.json` are below it. */
  readonly url: string;
  /** Tokens that it has given out. */
  readonly issued: number;
  /** Signs whatever it is given, over what tokens have by default: tests have it sign bad ones. */
  sign(claims: JWTPayload, header?: Partial<JWTHeaderParameters>, key?: CryptoKey): Promise<string>;
  close(): void;
}

export async function startIssuer({ audience, lifetimeS }: IssuerOptions): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: KEY_ID, alg: "ES256", use: "sig" }] };
  let issued = 0;

  const http = createServer(async (request, response) => {
    const send = (status: number, body: object) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    if (request.url === "/jwks.json") return send(200, jwks);
    if (request.url !== "/token" || request.method !== "POST") return send(404, {});
    let form = "";
    for await (const chunk of request) form += String(chunk);
    const { username = "", password } = Object.fromEntries(new URLSearchParams(form));
    const account = Object.hasOwn(ACCOUNTS, username) ? ACCOUNTS[username] : undefined;
    if (account === undefined || account.password !== password) return send(400, { error: "invalid_grant" });
    issued++;
    return send(200, {
      access_token: await issuer.sign({ sub: username, scope: account.scope }),
      token_type: "Bearer",
      expires_in: lifetimeS,
    });
  });
  await new Promise<void>((done) => http.listen(0, "127.0.0.1", done));

  const issuer: Issuer = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    get issued() {
      return issued;
    },
    sign(claims, header, key = privateKey) {
      const now = Math.floor(Date.now() / 1_000);
      return new SignJWT({ iss: issuer.url, aud: audience, iat: now, exp: now + lifetimeS, ...claims })
        .setProtectedHeader({ alg: "ES256", kid: KEY_ID, typ: "at+jwt", ...header })
        .sign(key);
    },
    close() {
      http.close();
      http.closeAllConnections();
    },
  };
  return issuer;
}
