import { type PerMessageDeflateOptions, WebSocket } from "ws";
import { CloseCode } from "../base/close.js";
import { closeReason } from "../driver/link.js";
import { serverFrame } from "../driver/ws-frame.js";
import type { SharedPacket } from "../wire/shared.js";
import { Chooser } from "./chooser.js";
import { canDeflate, Deflater, InflateError, Inflater } from "./deflate.js";
import type { CompressionSettings } from "./settings.js";

/** Parameters that both sides have agreed on (RFC 7692 section 7.1). */
interface Agreed {
  readonly server_no_context_takeover?: boolean;
  readonly client_no_context_takeover?: boolean;
  readonly server_max_window_bits?: number;
  readonly client_max_window_bits?: number;
}

/** What of `ws` is used here that it does not document: where a socket keeps its extensions, and their parameters. */
interface Inside {
  readonly _extensions?: Record<string, { readonly params?: Agreed; cleanup?(): void }>;
}

type Callback = (error: Error | null, data?: Buffer) => void;

const NAME = "permessage-deflate";

const ELSEWHERE = "this version of ws keeps its extensions elsewhere; leave the option compression out";

/** zlib has no window of 256 bytes for raw data. */
const MIN_WINDOW_BITS = 9;

/** Options for `ws`, which negotiates; `false` when there is to be no compression. */
export function offerOf(settings: CompressionSettings | undefined): PerMessageDeflateOptions | false {
  if (settings === undefined) return false;
  if (!canDeflate()) {
    throw new Error(
      `compression needs Node's own zlib as of Node 22 to 24, and ${process.version} has another one; leave the option compression out`,
    );
  }
  // Now, and not when the first client comes.
  if (unconnected()._extensions === undefined) throw new Error(ELSEWHERE);
  const without = !settings.contextTakeover;
  // Window sizes are not negotiated: each side may search less than the other one keeps.
  return without ? { serverNoContextTakeover: true, clientNoContextTakeover: true } : {};
}

/** A socket as a server of `ws` makes it, before it has anything to do with a client. */
function unconnected(): Inside {
  const Unconnected = WebSocket as unknown as new (
    address: null,
    protocols: undefined,
    options: object,
  ) => Inside;
  return new Unconnected(null, undefined, {});
}

/** Streams that keep nothing between messages serve all sockets of the process. */
const shared = new Map<string, Deflater>();
const sharedChooser = new Chooser(0);
let sharedInflater: Inflater | undefined;

/** Compresses what goes out over a socket, and sees to what comes in. */
export interface SocketCompression {
  /** The packet as it goes out compressed; `undefined`: it goes as it is. */
  deflate(head: Uint8Array, body: Uint8Array | undefined): Buffer | undefined;
  /** The frame of a packet for many, compressed once for all; `undefined`: it goes as it is. */
  deflateShared(packet: SharedPacket): Uint8Array | undefined;
}

/**
 * Takes the place of `ws`'s own implementation of the extension on a socket that is open and has just agreed on it. `ws` sends
 * every message to zlib's thread pool and back, which costs ten times what compressing it does.
 *
 * @param maxBytes what a message may become
 * @returns `undefined` when the other side did not agree
 * @throws Error when this `ws` is made otherwise than the one this was written for
 */
export function takeOver(
  ws: WebSocket,
  side: "client" | "server",
  settings: CompressionSettings,
  maxBytes: number,
): SocketCompression | undefined {
  const extensions = (ws as unknown as Inside)._extensions;
  if (extensions === undefined) throw new Error(ELSEWHERE);
  const theirs = extensions[NAME];
  if (theirs === undefined) return undefined;
  const agreed = theirs.params;
  if (agreed === undefined) throw new Error("this version of ws keeps what was agreed on elsewhere");
  const other = side === "server" ? "client" : "server";
  const keepsOut = settings.contextTakeover && agreed[`${side}_no_context_takeover`] !== true;
  const keepsIn = agreed[`${other}_no_context_takeover`] !== true;
  const windowBits = agreed[`${side}_max_window_bits`] ?? 15;
  const ours = new SyncDeflate(ws, side, agreed, keepsIn, maxBytes);
  extensions[NAME] = ours;
  theirs.cleanup?.();
  if (windowBits < MIN_WINDOW_BITS) return { deflate: () => undefined, deflateShared: () => undefined };
  const chooser = new Chooser(settings.thresholdBytes);
  const own = keepsOut ? new Deflater(settings, windowBits) : undefined;
  let stale = false;
  ours.onCleanup = () => own?.close();
  const deflater = own ?? sharedDeflater({ ...settings, contextTakeover: false }, windowBits);
  return {
    deflate(head, body) {
      const bytes = head.length + (body?.length ?? 0);
      if (!chooser.shouldTry(bytes)) return undefined;
      if (stale) own?.reset();
      stale = false;
      const compressed = deflater.deflate(head, body);
      const worthwhile = chooser.tried(bytes, compressed.length);
      // What is in the window must be sent, or the other side's would be another one.
      return worthwhile || keepsOut ? compressed : undefined;
    },
    deflateShared(packet) {
      // A client that asks for a smaller window gets what fits all of them: nothing compressed.
      if (windowBits < settings.windowBits) return undefined;
      packet.compressed ??= sharedFrame(packet.bytes, settings) ?? null;
      if (packet.compressed === null) return undefined;
      // The other side's window has something in it now that ours has not: what comes next must not refer to before it.
      stale = own !== undefined;
      return packet.compressed;
    },
  };
}

/** A packet compressed without reference to any before it, which every client can read. */
function sharedFrame(bytes: Uint8Array, settings: CompressionSettings): Uint8Array | undefined {
  if (!sharedChooser.shouldTry(bytes.length) || bytes.length < settings.thresholdBytes) return undefined;
  const compressed = sharedDeflater({ ...settings, contextTakeover: false }, 15).deflate(bytes, undefined);
  return sharedChooser.tried(bytes.length, compressed.length) ? serverFrame(compressed, true) : undefined;
}

function sharedDeflater(settings: CompressionSettings, windowBits: number): Deflater {
  const name = JSON.stringify([settings.level, settings.memLevel, Math.min(settings.windowBits, windowBits)]);
  let deflater = shared.get(name);
  if (deflater === undefined) {
    deflater = new Deflater(settings, windowBits);
    shared.set(name, deflater);
  }
  return deflater;
}

/** The extension as `ws` calls it. */
class SyncDeflate {
  readonly params: Agreed;
  readonly _isServer: boolean;
  onCleanup: () => void = () => undefined;
  readonly #ws: WebSocket;
  readonly #keepsIn: boolean;
  readonly #maxBytes: number;
  #own: Inflater | undefined;
  #length = 0;

  constructor(ws: WebSocket, side: "client" | "server", params: Agreed, keepsIn: boolean, maxBytes: number) {
    this.#ws = ws;
    this._isServer = side === "server";
    this.params = params;
    this.#keepsIn = keepsIn;
    this.#maxBytes = maxBytes;
  }

  decompress(data: Buffer, last: boolean, callback: Callback): void {
    let result: Buffer | undefined;
    let error: Error | null = null;
    try {
      result = this.#inflater(last).inflate(data, last, this.#maxBytes - this.#length);
      this.#length = last ? 0 : this.#length + result.length;
    } catch (fault) {
      error = fault as Error;
      const tooLong = fault instanceof InflateError && fault.tooLong;
      // ws closes by itself, but with a code that only its own errors can choose.
      this.#ws.close(tooLong ? CloseCode.tooBig : CloseCode.malformed, closeReason(error.message));
    }
    // Not at once: ws goes on to the next message from within, and thousands of them may be there already.
    queueMicrotask(() => callback(error, result));
  }

  cleanup(): void {
    this.#own?.close();
    this.#own = undefined;
    this.onCleanup();
  }

  #inflater(last: boolean): Inflater {
    // A message in fragments may be interrupted by those of other sockets, so it cannot use the one for all.
    if (this.#own !== undefined) return this.#own;
    if (this.#keepsIn || !last) {
      this.#own = new Inflater(this.#keepsIn);
      return this.#own;
    }
    sharedInflater ??= new Inflater(false);
    return sharedInflater;
  }
}
