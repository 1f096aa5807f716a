/**
 * What Node's buffers convert texts with: half the cost of `TextEncoder` and `TextDecoder`, for it takes a position instead of a
 * view. Not documented, so it is tried before it is used; elsewhere it is not there.
 */

type Utf8Slice = (this: Uint8Array, start: number, end: number) => string;
type Utf8Write = (this: Uint8Array, text: string, at: number, most: number) => number;

interface Natives {
  readonly utf8Slice?: Utf8Slice | undefined;
  readonly utf8Write?: Utf8Write | undefined;
}

function find(): Natives {
  const { utf8Slice, utf8Write } = (typeof Buffer === "undefined" ? {} : Buffer.prototype) as Natives;
  const text = "a\u00e9\u20ac\u{1f600}";
  const bytes = new Uint8Array(16);
  try {
    if (utf8Write?.call(bytes, text, 1, 15) === 10 && utf8Slice?.call(bytes, 1, 11) === text) {
      return { utf8Slice, utf8Write };
    }
  } catch {
    // Then it wants a buffer of its own kind.
  }
  return {};
}

const { utf8Slice: slice, utf8Write: write } = find();

/** The text in `bytes[start, end)`; what is not UTF-8 becomes U+FFFD. `undefined` where there is no such function. */
export const utf8Slice: Utf8Slice | undefined = slice;

/** Writes a text from `at`, and returns how many bytes it took. `undefined` where there is no such function. */
export const utf8Write: Utf8Write | undefined = write;
