import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { decode, encode } from "hawser/codec";
import { EchoRequestSchema } from "../../../gen/hawser/bench/v1/bench_hawser.js";
import { PointsSchema } from "../../../gen/hawser/bench/v1/points_hawser.js";
import { NAME } from "../payload.js";

/** Encoding and decoding of one message, by generated codecs and by protobuf-es. */
export interface MeasuredCodec {
  encode(): void;
  decode(): void;
  encodeByEs(): void;
  decodeByEs(): void;
}

/** Holds the last thing that was made, so that no compiler finds out that nobody wants it. */
export const made: { last: unknown } = { last: undefined };

function measured<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): MeasuredCodec {
  const message: MessageShape<Desc> = create(schema, init);
  const bytes = toBinary(schema, message);
  return {
    encode() {
      made.last = encode(schema, message);
    },
    decode() {
      made.last = decode(schema, bytes);
    },
    encodeByEs() {
      made.last = toBinary(schema, message);
    },
    decodeByEs() {
      made.last = fromBinary(schema, bytes);
    },
  };
}

/** The messages of the guard: that of its calls with 32 B, and one with 1,000 points. */
export function measureCodec(message: "small" | "large"): MeasuredCodec {
  if (message === "small") {
    const body = new Uint8Array(32).fill(7);
    return measured(EchoRequestSchema, { id: 1_234_567_890n, name: NAME, body });
  }
  const points = Array.from({ length: 1_000 }, (_, i) => ({ x: i * 1.1, y: -i / 3, count: i * 7 }));
  return measured(PointsSchema, { points });
}
