// Access tokens as credentials: what to take over into a server of your own.
import { type AuthRequest, Code, type HandlerContext, type Identity, RpcError } from "hawser/server";
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from "jose";

/** What a server must know to believe a token. */
export interface TokenRules {
  /** `iss` of the tokens. */
  readonly issuer: string;
  /** `aud` of the tokens: this server, so that a token for another service opens nothing here. */
  readonly audience: string;
  /** Where the issuer publishes its public keys (RFC 7517). */
  readonly jwksUrl: string;
  /** How far the clocks of issuer and server may be apart, in seconds. Default 5. */
  readonly clockToleranceS?: number;
}

/** What handlers get to know of the caller. */
export interface AccessClaims extends JWTPayload {
  readonly scope?: string;
}

/** Makes `authenticate` for `createServer`. It runs for each new link, and for each fresh token on a link that is up. */
export function jwtAuthentication(rules: TokenRules): (request: AuthRequest) => Promise<Identity> {
  const { issuer, audience, jwksUrl, clockToleranceS = 5 } = rules;
  // Fetched when a token names a key that is not known yet, and kept: no request per connection.
  const keys = createRemoteJWKSet(new URL(jwksUrl), { timeoutDuration: 2_000 });
  return async ({ credentials, bearer }) => {
    // In the first packet, or for clients that cannot do otherwise in the upgrade request.
    const token = credentials || bearer;
    if (token === undefined) throw new RpcError("an access token is needed", Code.Unauthenticated);
    try {
      const { payload } = await jwtVerify<AccessClaims>(token, keys, {
        issuer,
        audience,
        clockTolerance: clockToleranceS,
        // What the issuer signs with, and nothing else that the library happens to know.
        algorithms: ["ES256"],
        // An ID token is no access token (RFC 9068).
        typ: "at+jwt",
        requiredClaims: ["sub", "exp"],
      });
      const { sub, exp } = payload as { sub: string; exp: number };
      return { id: sub, expiresAt: (exp + clockToleranceS) * 1_000, claims: payload };
    } catch (error) {
      throw refusal(error);
    }
  };
}

/** The claims of a call's caller. */
export function claimsOf({ session }: HandlerContext): AccessClaims {
  return session.identity?.claims as AccessClaims;
}

/** @throws RpcError PERMISSION_DENIED when the caller's token does not have this scope. */
export function demandScope(context: HandlerContext, scope: string): void {
  if (claimsOf(context).scope?.split(" ").includes(scope) === true) return;
  throw new RpcError(`this needs the scope ${scope}`, Code.PermissionDenied);
}

/** What the client is told: enough to find the mistake, nothing of what is inside. It is the reason of close code 4401. */
function refusal(error: unknown): RpcError {
  const why = reason(error);
  if (why !== undefined) return new RpcError(why, Code.Unauthenticated, { cause: error });
  // The token may be good: the keys could not be had. The client comes again.
  return new RpcError("the keys of the issuer cannot be had now", Code.Unavailable, { cause: error });
}

function reason(error: unknown): string | undefined {
  if (error instanceof errors.JWTExpired) return "the access token has expired";
  if (error instanceof errors.JWTClaimValidationFailed) {
    return error.claim === "typ" ? "this is no access token" : `the access token has a wrong ${error.claim}`;
  }
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey) {
    return "the access token is not signed by the issuer";
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return "the access token is signed by another algorithm";
  const { JWSInvalid, JWTInvalid, JOSENotSupported } = errors;
  if ([JWSInvalid, JWTInvalid, JOSENotSupported].some((kind) => error instanceof kind)) {
    return "the credentials are no access token";
  }
  return undefined;
}
