// A client in a process of its own, which exchanges numbers with a server until it is asked to stop. Arguments: URL, ping
// interval and timeout in milliseconds.
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { connect, createClient } from "../../src/client/index.js";

const [, , url = "", interval = "25000", timeout = "10000"] = process.argv;
const connection = connect(url, {
  pingIntervalMs: Number(interval),
  pingTimeoutMs: Number(timeout),
  handshakeTimeoutMs: 1_000,
  reconnect: { initialDelayMs: 50, maxDelayMs: 200 },
});
const state = { sent: 0, received: 0, resumes: 0, losses: 0, fault: "" };
connection.on("resumed", () => state.resumes++);
connection.on("lost", () => state.losses++);

let over = false;
async function* numbers() {
  while (!over) {
    yield { number: ++state.sent };
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function exchange(): Promise<void> {
  for await (const { number } of createClient(EchoService, connection).converse(numbers())) {
    if (number !== state.received + 1) throw new Error(`${number} after ${state.received}`);
    state.received = number;
  }
}

const done = exchange().catch((error: unknown) => {
  state.fault = String(error);
});
process.on("message", async (question) => {
  if (question === "stop") {
    over = true;
    await done;
    await connection.close();
  }
  process.send?.(state);
});
process.on("disconnect", () => process.exit(0));
process.send?.(state);
