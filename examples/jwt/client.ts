import { type Connection, type ConnectOptions, connect } from "hawser/client";

/** Who asks for tokens, and where. */
export interface Login {
  /** URL of the issuer. */
  readonly issuer: string;
  readonly username: string;
  readonly password: string;
}

/** Asks the issuer for a fresh token. */
export async function fetchToken({ issuer, username, password }: Login): Promise<string> {
  const response = await fetch(`${issuer}/token`, {
    method: "POST",
    body: new URLSearchParams({ grant_type: "password", username, password }),
  });
  if (!response.ok) throw new Error(`no token for ${username}: ${response.status}`);
  const { access_token } = (await response.json()) as { access_token: string };
  return access_token;
}

/**
 * Connects with tokens of the issuer. `credentials` is a function, so that each link has a token that is fresh, and so has
 * the server when it asks for the next one: the connection outlives its tokens.
 */
export function connectWithLogin(url: string, login: Login, options: ConnectOptions = {}): Connection {
  return connect(url, { credentials: () => fetchToken(login), ...options });
}
