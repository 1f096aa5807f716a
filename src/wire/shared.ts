/** A packet that is written to many links. */
export class SharedPacket {
  readonly bytes: Uint8Array;
  /** What links of one kind make of it, once for all of them. */
  frame: Uint8Array | undefined;
  /** The same, compressed; `null`: it is not worth it. */
  compressed: Uint8Array | null | undefined;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}
