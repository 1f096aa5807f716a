import { Chooser } from "../compression/chooser.js";
import { Deflater, Inflater } from "../compression/deflate.js";
import type { CompressionSettings } from "../compression/settings.js";
import { encodePacket } from "../wire/encode.js";

/** What a candidate of the grid does with the samples. */
export interface Measured {
  readonly name: string;
  readonly settings: CompressionSettings | undefined;
  /** Messages that travel in one packet. */
  readonly batch: number;
  /** On the wire, per message. */
  readonly bytes: number;
  /** Part of the bytes that is left, 1 for all of them. */
  readonly ratio: number;
  /** To compress and to decompress, per message, in microseconds. */
  readonly deflateUs: number;
  readonly inflateUs: number;
  /** What a connection takes on each side, in bytes. */
  readonly memoryBytes: number;
  /** Part of the packets that went compressed. */
  readonly compressed: number;
}

/** A packet of this many bytes is full, whatever else waits. */
const PACKET_BYTES = 64 * 1024;

/** Messages in packets as Hawser would send them: so many in one, as long as there is room. */
export function packetsOf(messages: readonly Uint8Array[], batch: number): Uint8Array[] {
  const packets: Uint8Array[] = [];
  let frames: Parameters<typeof encodePacket>[0]["frames"][number][] = [];
  let bytes = 0;
  const flush = () => {
    if (frames.length > 0)
      packets.push(encodePacket({ seq: packets.length + 1, ack: packets.length, frames }));
    frames = [];
    bytes = 0;
  };
  for (const [index, payload] of messages.entries()) {
    if (frames.length === batch || bytes + payload.length > PACKET_BYTES) flush();
    frames.push({
      kind: "data",
      call: 2 * (index % 64) + 1,
      end: false,
      size: 0,
      headers: undefined,
      resumeToken: "",
      payload,
    });
    bytes += payload.length;
  }
  flush();
  return packets;
}

/**
 * Sends packets through compression and back, as a connection does.
 *
 * @param rounds how often it is timed; the median counts. One more comes before, for the engine.
 * @throws Error when something else comes back
 */
export function measure(
  name: string,
  settings: CompressionSettings | undefined,
  messages: readonly Uint8Array[],
  batch: number,
  rounds: number,
): Measured {
  const packets = packetsOf(messages, batch);
  const plain = packets.reduce((sum, packet) => sum + packet.length, 0);
  if (settings === undefined) {
    const bytes = plain / messages.length;
    return {
      name,
      settings,
      batch,
      bytes,
      ratio: 1,
      deflateUs: 0,
      inflateUs: 0,
      memoryBytes: 0,
      compressed: 0,
    };
  }
  const deflateTimes: number[] = [];
  const inflateTimes: number[] = [];
  let sent: readonly (Uint8Array | undefined)[] = [];
  for (let round = 0; round <= rounds; round++) {
    const deflater = new Deflater(settings);
    const chooser = new Chooser(settings.thresholdBytes);
    let start = performance.now();
    sent = packets.map((packet) => {
      if (!chooser.shouldTry(packet.length)) return undefined;
      const compressed = deflater.deflate(packet, undefined);
      return chooser.tried(packet.length, compressed.length) || settings.contextTakeover
        ? compressed
        : undefined;
    });
    deflateTimes.push(performance.now() - start);
    deflater.close();

    const inflater = new Inflater(settings.contextTakeover);
    start = performance.now();
    const back = sent.map((data) =>
      data === undefined ? undefined : inflater.inflate(data, true, Number.POSITIVE_INFINITY),
    );
    inflateTimes.push(performance.now() - start);
    inflater.close();
    for (const [index, data] of back.entries())
      if (data !== undefined && Buffer.compare(data, packets[index] as Uint8Array) !== 0)
        throw new Error("another packet came back");
  }
  const perMessage = (times: readonly number[]) => (median(times.slice(1)) * 1_000) / messages.length;
  const bytes = sent.reduce((sum, data, index) => sum + (data ?? (packets[index] as Uint8Array)).length, 0);
  return {
    name,
    settings,
    batch,
    bytes: bytes / messages.length,
    ratio: bytes / plain,
    deflateUs: perMessage(deflateTimes),
    inflateUs: perMessage(inflateTimes),
    memoryBytes: settings.contextTakeover ? streamBytes(settings) : 0,
    compressed: sent.filter((data) => data !== undefined).length / packets.length,
  };
}

/** What zlib keeps for a stream in each direction (`zconf.h`), with Node's own part (measured). */
export function streamBytes({ windowBits, memLevel }: CompressionSettings): number {
  const deflate = 2 ** (windowBits + 2) + 2 ** (memLevel + 9);
  // The other side may use the whole window.
  const inflate = 2 ** 15 + 7 * 1024;
  return deflate + inflate + NODE_BYTES;
}

/** Two streams of Node's, without zlib's part. */
const NODE_BYTES = 8 * 1024;

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}
