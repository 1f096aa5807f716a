/** A way to make calls, and how it is set up. */
export interface ContenderInfo {
  /** Its module, from `src/bench`, exporting `create`. */
  readonly module: string;
  /** What `create` is given. Default: `""`. */
  readonly variant?: string;
  /** The package in `src/bench/peers` without which it cannot take part. */
  readonly needs?: string;
  /** It is a deployment, measured by `nodes.ts`: so many servers, and how they are started. */
  readonly nodes?: { readonly count: number; readonly arguments: readonly string[] };
  /** Bundled without sequence numbers, acknowledgements and outbox. */
  readonly withoutReliability?: true;
  /** What it is, and which of its settings differ from the defaults. Written into the JSON and the report. */
  readonly settings: string;
}

const HAWSER = "contenders/hawser.ts";
const HAWSER_NODES = "contenders/hawser-nodes.ts";
const DEFAULTS = "Default options: sessions, resume, limits and flow control are on.";

/** Name of a contender. */
export type ContenderName =
  | "net"
  | "ws"
  | "hawser"
  | "hawser-es"
  | "socket.io"
  | "socket.io-msgpack"
  | "trpc"
  | "rpc-websockets"
  | "connect-node"
  | "grpc-js"
  | "starpc"
  | "river"
  | "capnweb"
  | "ws-deflate"
  | "hawser-memory"
  | "hawser-balanced"
  | "hawser-ratio"
  | "hawser-no-outbox"
  | "hawser-keys"
  | "hawser-no-limits"
  | "hawser-1-node"
  | "hawser-2-nodes"
  | "hawser-2-nodes-history"
  | "socket.io-1-node"
  | "socket.io-2-nodes"
  | "hawser-authenticated";

/** What can be measured, by name. */
export const CONTENDERS: Readonly<Record<ContenderName, ContenderInfo>> = {
  net: {
    module: "contenders/net.ts",
    settings:
      "node:net, a 32-bit length before each message, no codec: messages are made once. noDelay; all that one chunk of input causes is written under one cork, streams under corks of 64 messages.",
  },
  ws: {
    module: "contenders/ws.ts",
    settings:
      "ws without anything on top and without a codec: messages are buffers made once, sent back as they come, without promises. perMessageDeflate off.",
  },
  hawser: {
    module: HAWSER,
    settings: `Service from .proto, codecs by protoc-gen-hawser. ${DEFAULTS}`,
  },
  "hawser-es": {
    module: "contenders/hawser-es.ts",
    settings: `Service from .proto, messages encoded by protobuf-es. ${DEFAULTS}`,
  },
  "socket.io-msgpack": {
    module: "peers/socket-io.mjs",
    variant: "msgpack",
    needs: "socket.io-msgpack-parser",
    settings:
      "Socket.IO, WebSocket only, its msgpack parser, which its docs advise for binary data. Otherwise as socket.io.",
  },
  "socket.io": {
    module: "peers/socket-io.mjs",
    needs: "socket.io",
    settings:
      "Socket.IO, WebSocket only, its default parser (JSON) with bytes in base64 and 64-bit numbers as text. perMessageDeflate off; first request not kept; bufferutil installed, as its docs advise.",
  },
  trpc: {
    module: "peers/trpc.mjs",
    needs: "@trpc/server",
    settings:
      "tRPC 11, wsLink and applyWSSHandler over ws, JSON with bytes in base64 and 64-bit numbers as text; no schema library, no transformer, which would cost more.",
  },
  "rpc-websockets": {
    module: "peers/rpc-websockets.mjs",
    needs: "rpc-websockets",
    settings:
      "rpc-websockets over ws, JSON-RPC with bytes in base64 and 64-bit numbers as text. perMessageDeflate off; bufferutil comes with it.",
  },
  "connect-node": {
    module: "peers/connect-node.mjs",
    needs: "@connectrpc/connect-node",
    settings:
      "connect-node, Connect protocol over HTTP/2 in binary (faster than its gRPC transport here), codec protobuf-es, one HTTP/2 session for each connection. No compression.",
  },
  "grpc-js": {
    module: "peers/grpc-js.mjs",
    needs: "@grpc/grpc-js",
    settings:
      "grpc-js with proto-loader (protobufjs); one channel for each connection; no limit on messages.",
  },
  starpc: {
    module: "peers/starpc.mjs",
    needs: "starpc",
    settings: "starpc over ws, messages by its own protobuf-es-lite.",
  },
  river: {
    module: "peers/river.mjs",
    needs: "@replit/river",
    settings: "river over ws, BinaryCodec (msgpack), 64-bit numbers as numbers; no logging.",
  },
  capnweb: {
    module: "peers/capnweb.mjs",
    needs: "capnweb",
    settings: "Cap'n Web over ws: bigint and Uint8Array as it carries them.",
  },
  "ws-deflate": {
    module: "contenders/ws.ts",
    variant: "deflate",
    settings: "ws without anything on top, perMessageDeflate: true, which is its default compression.",
  },
  "hawser-memory": { module: HAWSER, variant: "memory", settings: 'As hawser, compression: "memory".' },
  "hawser-balanced": { module: HAWSER, variant: "balanced", settings: 'As hawser, compression: "balanced".' },
  "hawser-ratio": { module: HAWSER, variant: "ratio", settings: 'As hawser, compression: "ratio".' },
  "hawser-no-outbox": {
    module: HAWSER,
    withoutReliability: true,
    settings: "As hawser, bundled without sequence numbers, acknowledgements and outbox.",
  },
  "hawser-keys": {
    module: HAWSER,
    variant: "keys",
    settings: "As hawser, with an idempotency key on every call, kept in memory.",
  },
  "hawser-no-limits": {
    module: HAWSER,
    variant: "unlimited",
    settings: "As hawser, every limit of the server that can be off is off.",
  },
  "hawser-1-node": {
    module: HAWSER_NODES,
    nodes: { count: 1, arguments: ["memory"] },
    settings: "One node, its memory as the broker, a topic with history.",
  },
  "hawser-2-nodes": {
    module: HAWSER_NODES,
    nodes: { count: 2, arguments: ["plain"] },
    settings: "Two nodes over NATS, a topic without history; publishing waits for the broker.",
  },
  "hawser-2-nodes-history": {
    module: HAWSER_NODES,
    nodes: { count: 2, arguments: ["history"] },
    settings: "Two nodes over NATS, a topic with history in JetStream; publishing waits until it is stored.",
  },
  "socket.io-1-node": {
    module: "peers/socket-io-nodes-client.mjs",
    needs: "@socket.io/cluster-adapter",
    nodes: { count: 1, arguments: ["1"] },
    settings: "Socket.IO, one node, WebSocket only, default parser with binary messages.",
  },
  "socket.io-2-nodes": {
    module: "peers/socket-io-nodes-client.mjs",
    needs: "@socket.io/cluster-adapter",
    nodes: { count: 2, arguments: ["2"] },
    settings: "The same, two processes of one machine behind its cluster adapter, which needs no broker.",
  },
  "hawser-authenticated": {
    module: HAWSER,
    variant: "authenticated",
    settings: "As hawser, every client authenticates as somebody else.",
  },
};
