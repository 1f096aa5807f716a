// What the official runner and the testee said to each other, as they said it: a length of four bytes, little endian, then so
// many bytes; requests and responses in turn.

/** A request of the runner, and the response that it was content with. */
export interface Exchange {
  readonly request: Buffer;
  readonly response: Buffer;
}

/** One message as it goes over the pipe. */
export function frame(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** The frames at the beginning of the bytes, and how many bytes they take. */
export function frames(bytes: Buffer): { readonly messages: Buffer[]; readonly taken: number } {
  const messages: Buffer[] = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    const end = at + 4 + bytes.readUInt32LE(at);
    if (end > bytes.length) break;
    messages.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return { messages, taken: at };
}

/** The exchanges of a transcript. */
export function exchanges(transcript: Buffer): Exchange[] {
  const { messages } = frames(transcript);
  const found: Exchange[] = [];
  for (let i = 0; i + 1 < messages.length; i += 2) {
    found.push({ request: messages[i] as Buffer, response: messages[i + 1] as Buffer });
  }
  return found;
}
