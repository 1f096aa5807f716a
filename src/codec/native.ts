/**
 * What Node's buffers do faster than the platform's common functions; elsewhere it is not there.
 *
 * Texts are converted at half the cost of `TextEncoder` and `TextDecoder`, for these functions take a position instead of a view.
 * They are not documented, so they are tried before they are used.
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

/** An array with anything in it, where that can be had: filling a large one with zeros takes longer than filling it with a message. */
export function allocate(bytes: number): Uint8Array<ArrayBuffer> {
  return typeof Buffer === "undefined"
    ? new Uint8Array(bytes)
    : new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
}
