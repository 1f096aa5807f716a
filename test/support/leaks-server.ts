// A process that opens and closes everything, says what is left, and must then end by itself.
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { connect, createClient } from "../../src/client/index.js";
import { createServer } from "../../src/server/index.js";
import { echoRoutes, exchange } from "./echo.js";
import { frames, packet } from "./frames.js";
import { rawConnect } from "./raw.js";
import { resourcesLeft } from "./resources.js";

const server = createServer({ routes: echoRoutes() });
const { url } = await server.listen({ port: 0, host: "127.0.0.1" });

const good = connect(url);
await exchange(createClient(EchoService, good), "good");
// A call that never ends, a session without a link, a link without a session, and one whose Hello is awaited.
const open = createClient(EchoService, good);
const forever = (async () => {
  async function* never() {
    await new Promise(() => undefined);
    yield { number: 1 };
  }
  await open.collect(never(), { timeoutMs: 3_600_000 });
})().catch(() => undefined);
const detached = await rawConnect(url);
await detached.greet();
detached.ws.terminate();
await rawConnect(url);
const asking = await rawConnect(url);
asking.send(packet(0, frames.ping()));
await asking.closed;

await server.close();
// The client would wait for a server to come back.
await good.close();
await forever;
process.send?.({ left: await resourcesLeft(), sessions: server.sessions.size });
process.disconnect();
