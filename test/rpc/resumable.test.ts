import { expect, it, onTestFinished } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { connect, createClient } from "../../src/client/index.js";
import { createServer, type Interceptor, resumable } from "../../src/server/index.js";
import { until } from "../support/until.js";

it("keeps the tokens of messages that pass interceptors", async () => {
  const tokens: (string | undefined)[] = [];
  const numbers: number[] = [];
  const passing: Interceptor = (next) => async (request) => next(request);
  const server = createServer({
    interceptors: [passing],
    routes: (router) =>
      router.service(EchoService, {
        async *repeat({ count }, { resumeToken, signal }) {
          tokens.push(resumeToken);
          for (let number = Number(resumeToken ?? 0) + 1; number <= count; number++) {
            yield resumable({ number }, String(number));
            await until(() => numbers.length >= number || signal.aborted);
          }
        },
      }),
  });
  onTestFinished(() => server.close());
  const { url } = await server.listen({ port: 0, host: "127.0.0.1" });
  const connection = connect(url, { reconnect: { initialDelayMs: 5 } });
  onTestFinished(() => connection.close());
  for await (const { number } of createClient(EchoService, connection).repeat({ count: 3 })) {
    numbers.push(number);
    // The server forgets the session, as if it had died.
    for (const session of server.sessions) session.close(1012);
  }
  expect(numbers).toEqual([1, 2, 3]);
  expect(tokens.slice(0, 3)).toEqual([undefined, "1", "2"]);
});
