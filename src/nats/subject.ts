import { createHash } from "node:crypto";

/** Longest token, in bytes: servers allow some 4 KB for a whole subject, and close the connection beyond it. */
const MAX_BYTES = 256;

/** What stays as it is. The `=` is left out, for it begins what has been replaced. */
const PLAIN = /^[A-Za-z0-9_-]+$/;

/** With the flag, pairs count as what they stand for. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** A token for each byte. */
const ESCAPED: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const char = String.fromCharCode(byte);
  return PLAIN.test(char) ? char : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
});

/**
 * Any string as one token of a NATS subject, which is a valid KV key too; different strings have different tokens.
 * `A-Z a-z 0-9 _ -` stay, every other byte of the UTF-8 becomes `=XX`, the empty string `=`. What would be longer than 256
 * bytes becomes `==` and a SHA-256 in base64url: such a token does not show its name any more.
 *
 * @example encodeToken("orders/7.é") // "orders=2F7=2E=C3=A9"
 */
export function encodeToken(name: string): string {
  if (name.length <= MAX_BYTES && PLAIN.test(name)) return name;
  if (name === "") return "=";
  const bytes = utf8(name);
  let token = "";
  for (const byte of bytes) {
    token += ESCAPED[byte];
    if (token.length > MAX_BYTES) return `==${createHash("sha256").update(bytes).digest("base64url")}`;
  }
  return token;
}

/**
 * UTF-8 in which a lone surrogate stands as what it is (WTF-8, https://wtf-8.codeberg.page/#encoding-ill-formed-utf-16):
 * `TextEncoder` makes the same U+FFFD of all of them, and two names would share a token.
 */
function utf8(text: string): Uint8Array {
  if (!LONE_SURROGATE.test(text)) return Buffer.from(text, "utf8");
  const parts: Uint8Array[] = [];
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    parts.push(
      code >= 0xd800 && code <= 0xdfff
        ? Uint8Array.of(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f))
        : Buffer.from(char, "utf8"),
    );
  }
  return Buffer.concat(parts);
}
