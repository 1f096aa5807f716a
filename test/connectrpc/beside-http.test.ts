// One HTTP server: Connect's adapter answers its requests, Hawser takes its WebSockets, and both have the same routes.
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient, type Transport } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { expect, it, onTestFinished } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { connect } from "../../src/client/index.js";
import { connectRoutes, createHawserTransport } from "../../src/connectrpc/index.js";
import { createServer } from "../../src/server/index.js";
import { dialogue, routes } from "./dialogue.js";

it("serves Connect and gRPC-web over HTTP, and Hawser beside them", async () => {
  const http = createHttpServer(connectNodeAdapter({ routes }));
  const server = createServer({ routes: connectRoutes(routes) });
  server.attach(http, { path: "/rpc" });
  await new Promise<void>((done) => http.listen(0, "127.0.0.1", done));
  const host = `127.0.0.1:${(http.address() as AddressInfo).port}`;
  const connection = connect(`ws://${host}/rpc`);
  onTestFinished(async () => {
    await connection.close();
    await server.close();
    http.close();
    http.closeAllConnections();
  });

  const web = { baseUrl: `http://${host}`, httpVersion: "1.1" as const };
  const hawser = createHawserTransport(connection);
  const echo = async (transport: Transport) =>
    (await createClient(EchoService, transport).echo({ id: 7n })).id;
  for (const transport of [createConnectTransport(web), createGrpcWebTransport(web), hawser]) {
    expect(await echo(transport)).toBe(7n);
  }
  // HTTP/1.1 has no call that goes both ways.
  await expect(dialogue(createConnectTransport(web))).rejects.toThrow();
  expect(await dialogue(hawser)).toContain(128);
});
