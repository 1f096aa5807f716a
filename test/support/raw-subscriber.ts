import { create, toBinary } from "@bufbuild/protobuf";
import { WatchTopicRequestSchema } from "../../gen/hawser/test/v1/topics_pb.js";
import { encodePacket } from "../../src/wire/encode.js";
import { HelloMode } from "../../src/wire/frame.js";

const LIMITS = { packetBytes: 0, messageBytes: 0, creditBytes: 2 ** 32 - 1, headerBytes: 0, calls: 0 };
const NOTHING = new Uint8Array(0);

/** The Hello of a client that never says that it has consumed something. */
export const HELLO_WITH_ROOM: Uint8Array = encodePacket({
  seq: 0,
  ack: 0,
  frames: [
    {
      kind: "hello",
      version: 1,
      mode: HelloMode.begin,
      session: NOTHING,
      epoch: NOTHING,
      received: 0,
      credentials: "",
      limits: LIMITS,
      agent: "raw",
      link: 1,
    },
  ],
});

/** Its first call: it subscribes to a topic with history. */
export function watchPacket(name: string): Uint8Array {
  return encodePacket({
    seq: 1,
    ack: 0,
    frames: [
      {
        kind: "open",
        call: 1,
        method: 1,
        name: "hawser.test.v1.TopicService/Watch",
        headers: undefined,
        timeoutMs: 0,
        end: true,
        size: 0,
        resumeToken: "",
        idempotencyKey: "",
        payload: toBinary(WatchTopicRequestSchema, create(WatchTopicRequestSchema, { name })),
      },
    ],
  });
}
