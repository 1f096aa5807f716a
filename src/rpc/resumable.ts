/** Where a message carries its token; it is no field, so no codec sees it. */
const RESUME_TOKEN = Symbol("hawser.resumeToken");

/** Longest token, in UTF-16 units. */
const MAX_TOKEN = 255;

/**
 * Says that a server stream can go on behind this message. When the session is lost, the client's runtime calls the
 * method again with the same request, and the handler finds the token of the last message that the client has consumed
 * in `context.resumeToken`: it must go on with what came next. The client's loop does not notice.
 *
 * A stream is taken up again only behind a message with a token, so give one to every message that a client may have to
 * go on from. An offset, a cursor or a row's id are good tokens.
 *
 * @param message The message to yield; it is marked, and returned.
 * @param token 1 to 255 characters; means something to the handler only.
 * @throws TypeError or RangeError for something that is no token.
 * @example yield resumable({ number }, String(number));
 */
export function resumable<T extends object>(message: T, token: string): T {
  if (typeof token !== "string") throw new TypeError(`a resume token must be a string, not ${typeof token}`);
  if (token.length === 0 || token.length > MAX_TOKEN) {
    throw new RangeError(`a resume token must have 1 to ${MAX_TOKEN} characters, not ${token.length}`);
  }
  (message as { [RESUME_TOKEN]?: string })[RESUME_TOKEN] = token;
  return message;
}

/** The token of a message; `""` when it has none. */
export function resumeTokenOf(message: object): string {
  return (message as { [RESUME_TOKEN]?: string })[RESUME_TOKEN] ?? "";
}

/** Gives a message that was made of another one the token of that. */
export function keepToken<T extends object>(from: object, to: T): T {
  const token = resumeTokenOf(from);
  return token === "" ? to : resumable(to, token);
}
