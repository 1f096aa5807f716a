/** What a `MessagePort` and a `BroadcastChannel` with two ends have in common. */
export interface PortLike {
  postMessage(message: unknown, transfer?: Transferable[]): void;
  onmessage: ((this: never, event: MessageEvent) => unknown) | null;
  close(): void;
}

/** A message with its number in its direction. */
interface Numbered {
  readonly n: number;
  readonly message: unknown;
}

/**
 * A port whose messages are numbered: should one ever get lost, doubled or out of order, the line breaks, and whoever
 * used it begins anew. A session would take a packet that is missing for a breach of the protocol.
 */
export class Line<Out, In> {
  readonly #port: PortLike;
  #sent = 0;
  #heard = 0;
  #open = true;

  constructor(port: PortLike, onMessage: (message: In) => void, onBroken: () => void) {
    this.#port = port;
    // This also starts a MessagePort.
    port.onmessage = (event: MessageEvent) => {
      if (!this.#open) return;
      const { n, message } = event.data as Numbered;
      if (n === ++this.#heard) return onMessage(message as In);
      this.close();
      onBroken();
    };
  }

  /** @param transfer buffers that change hands where the port can do so; elsewhere they are copied. */
  send(message: Out, transfer: Transferable[] = []): void {
    if (!this.#open) return;
    const numbered: Numbered = { n: ++this.#sent, message };
    this.#port.postMessage(numbered, transfer);
  }

  close(): void {
    this.#open = false;
    this.#port.close();
  }
}
