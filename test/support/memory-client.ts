// A client in a process of its own: writes 64 MiB to a reader that stops, and reads 64 MiB with stops of its own.
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { connect, createClient } from "../../src/client/index.js";
import type { Order } from "./memory-server.js";

const [port, messageBytes, messages] = process.argv.slice(2).map(Number);
const MESSAGE_BYTES = messageBytes ?? 0;
const MESSAGES = messages ?? 0;

let open: () => void = () => undefined;
const gate = new Promise<void>((resolve) => {
  open = resolve;
});
let written = 0;
let read = 0;

const connection = connect(`ws://127.0.0.1:${port}/rpc`);
const echo = createClient(EchoService, connection);
await connection.ready();
globalThis.gc?.();
const before = process.memoryUsage().rss;

async function* upload() {
  const body = new Uint8Array(MESSAGE_BYTES);
  for (let number = 1; number <= MESSAGES; number++) {
    written++;
    yield { number, body };
  }
}

async function download(): Promise<number> {
  let bytes = 0;
  for await (const { body } of echo.repeat({ count: MESSAGES, body: new Uint8Array(MESSAGE_BYTES) })) {
    if (++read === 1) await gate;
    bytes += body.length;
  }
  return bytes;
}

const transfers = Promise.all([echo.collect(upload()), download()]);
transfers.then(
  async ([up, down]) => {
    process.send?.({ done: { up: Number(up.bytes), down } });
    await connection.close();
    process.disconnect();
  },
  (error: unknown) => {
    process.send?.({ failed: String(error) });
    process.disconnect();
  },
);

process.on("message", (order: Order | "unary") => {
  if (order === "go") open();
  else if (order === "unary") {
    const beforehand = { written, read };
    void echo
      .echo({ id: 5n }, { timeoutMs: 20_000 })
      .then(({ id }) => process.send?.({ unary: Number(id), beforehand, after: { written, read } }));
  } else {
    globalThis.gc?.();
    process.send?.({ rss: process.memoryUsage().rss, before, written, read });
  }
});
process.send?.({ started: true });
