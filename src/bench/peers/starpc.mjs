import { createServer } from "node:http";
import { createMessageType, MethodKind, ScalarType } from "@aptre/protobuf-es-lite";
import {
  buildDecodeMessageTransform,
  buildEncodeMessageTransform,
  createHandler,
  createMux,
  Server,
  WebSocketConn,
} from "starpc";
import WebSocket, { WebSocketServer } from "ws";
import { echoInLoops, windowed } from "../loops.ts";
import { NAME } from "../payload.ts";
import { listenLocally, watchSockets } from "../sockets.ts";
import { isMessage } from "./json-message.mjs";

// What its generators write for bench.proto.
const message = (name, ...fields) =>
  createMessageType({
    typeName: `hawser.bench.v1.${name}`,
    fields: fields.map(([field, T], index) => ({ no: index + 1, name: field, kind: "scalar", T })),
    packedByDefault: true,
  });
const FIELDS = [
  ["id", ScalarType.UINT64],
  ["name", ScalarType.STRING],
  ["body", ScalarType.BYTES],
];
const Message = message("EchoRequest", ...FIELDS);
const PushRequest = message("PushRequest", ["count", ScalarType.UINT32], ...FIELDS);
const UploadResponse = message("UploadResponse", ["count", ScalarType.UINT32]);
const SERVICE = "hawser.bench.v1.BenchService";
const definition = {
  typeName: SERVICE,
  methods: {
    Echo: { name: "Echo", I: Message, O: Message, kind: MethodKind.Unary },
    Push: { name: "Push", I: PushRequest, O: Message, kind: MethodKind.ServerStreaming },
    Upload: { name: "Upload", I: Message, O: UploadResponse, kind: MethodKind.ClientStreaming },
    Converse: { name: "Converse", I: Message, O: Message, kind: MethodKind.BiDiStreaming },
  },
};
const implementation = {
  Echo: async ({ id, name, body }) => ({ id, name, body }),
  async *Push({ count, id, name, body }) {
    for (let i = 0; i < count; i++) yield { id, name, body };
  },
  async Upload(requests) {
    let count = 0;
    for await (const _ of requests) count++;
    return { count };
  },
  async *Converse(requests) {
    for await (const { id, name, body } of requests) yield { id, name, body };
  },
};

/** @returns {import("../contender.ts").Contender} */
export function create() {
  return {
    async serve() {
      const http = createServer();
      const { traffic, cut } = watchSockets(http);
      const mux = createMux();
      mux.register(createHandler(definition, implementation));
      const server = new Server(mux.lookupMethod);
      new WebSocketServer({ server: http }).on(
        "connection",
        (socket, { socket: { remoteAddress, remotePort } }) => {
          // Its sockets know whom they are connected with; those of a server of `ws` do not.
          Object.defineProperty(socket, "url", { value: `ws://${remoteAddress}:${remotePort}` });
          new WebSocketConn(socket, "inbound", server);
        },
      );
      const port = await listenLocally(http);
      return { port, traffic, cut, close: async () => cut() };
    },
    async connect(port, bodies) {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`);
      const rpc = new WebSocketConn(socket, "outbound").buildClient();
      const make = (id) => Message.create({ id: BigInt(id), name: NAME, body: bodies[id % bodies.length] });
      const call = async (id) =>
        Message.fromBinary(await rpc.request(SERVICE, "Echo", Message.toBinary(make(id))));
      const accept = (answer, id) =>
        isMessage({ id: answer.id ?? 0n, body: answer.body }, id, bodies[0].length);
      await echoInLoops(call, accept, 1, 1, undefined);
      return {
        echo: (calls, depth, times) => echoInLoops(call, accept, calls, depth, times),
        async push(count) {
          const request = PushRequest.create({ count, id: 1n, name: NAME, body: bodies[0] });
          const replies = rpc.serverStreamingRequest(SERVICE, "Push", PushRequest.toBinary(request));
          let received = 0;
          for await (const answer of buildDecodeMessageTransform(Message)(replies)) {
            if (!accept(answer, 1)) throw new Error("another message came");
            received++;
          }
          if (received !== count) throw new Error(`${received} messages instead of ${count}`);
        },
        async upload(count) {
          async function* messages() {
            for (let id = 0; id < count; id++) yield make(id);
          }
          const requests = buildEncodeMessageTransform(Message)(messages());
          const answer = UploadResponse.fromBinary(
            await rpc.clientStreamingRequest(SERVICE, "Upload", requests),
          );
          if (answer.count !== count) throw new Error(`${answer.count} messages instead of ${count}`);
        },
        async converse(count, depth) {
          const window = windowed(make, count, depth);
          const requests = buildEncodeMessageTransform(Message)(window.requests);
          const replies = rpc.bidirectionalStreamingRequest(SERVICE, "Converse", requests);
          for await (const answer of buildDecodeMessageTransform(Message)(replies)) {
            if (!accept(answer, window.expected)) throw new Error("another message came back");
            window.onReply();
          }
        },
        close: async () => socket.terminate(),
      };
    },
  };
}
