/** How messages lie in a file. */
export type SampleForm = "file" | "lines" | "delimited";

/** Samples that cannot be used; the message says which, and why. */
export class SampleError extends Error {
  override readonly name = "SampleError";
}

/**
 * The messages of a file.
 *
 * @param form `"file"`: the whole file is one; `"lines"`: one on each line that is not empty; `"delimited"`: each behind its
 * length as a varint, as protobuf libraries write streams of messages
 * @param name of the file, for errors
 * @throws SampleError when it is not of that form.
 */
export function messagesOf(bytes: Uint8Array, form: SampleForm, name: string): Uint8Array[] {
  if (form === "file") return bytes.length === 0 ? [] : [bytes];
  return form === "lines" ? linesOf(bytes) : delimitedOf(bytes, name);
}

function linesOf(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; ) {
    const found = bytes.indexOf(0x0a, start);
    const end = found < 0 ? bytes.length : found;
    const line = bytes.subarray(start, bytes[end - 1] === 0x0d ? end - 1 : end);
    if (line.length > 0) lines.push(line);
    start = end + 1;
  }
  return lines;
}

function delimitedOf(bytes: Uint8Array, name: string): Uint8Array[] {
  const messages: Uint8Array[] = [];
  let pos = 0;
  while (pos < bytes.length) {
    const begin = pos;
    let length = 0;
    let shift = 1;
    for (;;) {
      const byte = bytes[pos++];
      if (byte === undefined || pos - begin > 5)
        throw new SampleError(`${name}: there is no length at byte ${begin}; is the file really delimited?`);
      length += (byte & 0x7f) * shift;
      shift *= 128;
      if (byte < 0x80) break;
    }
    if (pos + length > bytes.length) {
      throw new SampleError(
        `${name}: the message at byte ${begin} should have ${length} bytes, and the file has ${bytes.length - pos} more`,
      );
    }
    if (length > 0) messages.push(bytes.subarray(pos, pos + length));
    pos += length;
  }
  return messages;
}
