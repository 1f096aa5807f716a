// node --import tsx examples/chat/main.ts
// Environment: PORT (8080), HOST (127.0.0.1; 0.0.0.0 lets phones in the same network in), NATS_URL (none).
import { start } from "./server.js";

const { PORT = "8080", HOST, NATS_URL } = process.env;

const chat = await start(Number(PORT), HOST);
console.log(
  `The chat is at ${chat.url}, ${NATS_URL ? `over ${NATS_URL}` : "in the memory of this process"}.`,
);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, async () => {
    await chat.drain();
    process.exit(0);
  });
}
