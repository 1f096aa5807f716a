/** Bytes of packets and frames, and their limits. Inside the package, import the files themselves. */

export { decodePacket, textMessage } from "./decode.js";
export { type EncodedPacket, encodePacket, PACKET_HEAD_BYTES, PacketEncoder } from "./encode.js";
export { WireError } from "./error.js";
export {
  type AttachedFrame,
  type CallFrame,
  type CancelFrame,
  type ControlFrame,
  type CreditFrame,
  type DataFrame,
  type Detail,
  type EndFrame,
  type Frame,
  Gap,
  type GoAwayFrame,
  type Header,
  type HelloFrame,
  HelloMode,
  type OpenFrame,
  type Packet,
  type PingFrame,
  type PongFrame,
  type PositionFrame,
  type PublicationFrame,
  type RefreshFrame,
  type TopicFrame,
  type UnknownFrame,
  type WelcomeFrame,
  type WireLimits,
} from "./frame.js";
export {
  BESIDE_BYTES,
  CHUNK_BYTES,
  DEFAULT_LIMITS,
  effectiveLimits,
  MAX_DEPTH,
  MAX_ENTRIES_PER_PACKET,
  MAX_FRAMES_PER_PACKET,
  MAX_ID_BYTES,
  MAX_NAME_BYTES,
  MIN_LIMITS,
  PAYLOAD_COST,
} from "./limits.js";
export { frameBytes } from "./size.js";
