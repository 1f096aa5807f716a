// Runs each case over Connect's own transports and over Hawser, and compares all that both sides saw.
import { createClient } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import type { Case } from "./cases/case.js";
import { cases } from "./cases/index.js";
import { Probe } from "./probe.js";
import { open, type TransportName } from "./transports.js";

async function outcome(
  name: TransportName,
  { setting, run }: Case,
): Promise<Pick<Probe, "client" | "server">> {
  const probe = new Probe();
  const { transport, end } = await open(name, setting(probe));
  try {
    await run(createClient(EchoService, transport), probe, transport);
    return { client: [...probe.client], server: [...probe.server] };
  } finally {
    await end();
  }
}

describe.each(Object.entries(cases))("Connect over Hawser, as over its own transports: %s", (_, group) => {
  it.each(group.map((each) => [each.name, each] as const))("%s", async (_name, each) => {
    const router = await outcome("router", each);
    const http2 = await outcome("http2", each);
    const hawser = await outcome("hawser", each);
    const intercepted = await outcome("intercepted", each);
    expect(router.client.length + router.server.length).toBeGreaterThan(0);
    // Where Connect is not of one mind, the case says so; otherwise it is to be, or the case proves nothing.
    if (each.like === undefined) expect(http2).toEqual(router);
    else expect(http2).not.toEqual(router);
    const connect = each.like === "router" ? router : http2;
    expect(hawser).toEqual(connect);
    expect(intercepted).toEqual(connect);
  });
});
