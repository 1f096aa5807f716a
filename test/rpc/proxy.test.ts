// Calls that are passed on to the client of another node: what is left of them.
import { expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import type { Calls } from "../../src/rpc/calls.js";
import { Calls as CallTable } from "../../src/rpc/calls.js";
import { createProxyAnswerer } from "../../src/rpc/proxy.js";
import type { LiveSession } from "../../src/server/session.js";
import type { Sessions } from "../../src/server/sessions.js";
import { createPair } from "../../src/testing/index.js";
import type { CallFrame } from "../../src/wire/frame.js";
import { DEFAULT_LIMITS } from "../../src/wire/limits.js";

it("a call ends at its deadline though its caller takes nothing of what was answered", async () => {
  const pair = createPair({
    server: { routes: () => undefined },
    client: {
      routes: (router) => router.service(EchoService, { echo: () => ({ body: new Uint8Array(300 * 1024) }) }),
    },
  });
  await pair.clock.advance(1_000);
  const [session] = pair.sessions as Iterable<LiveSession>;
  const sent: CallFrame[] = [];
  const peerLimits = { ...DEFAULT_LIMITS, creditBytes: 64 * 1024 };
  const below = {
    state: "open" as const,
    writable: true,
    fullSince: Number.POSITIVE_INFINITY,
    peerLimits,
    check: () => undefined,
    send: (frame: CallFrame) => sent.push(frame),
    sendMessage: () => -1,
    wake: () => {
      for (let frame = calls.pullFrame(); frame !== undefined; frame = calls.pullFrame()) sent.push(frame);
    },
    position: () => undefined,
  };
  const { calls: init } = pair.sessions as unknown as Sessions;
  const around = {
    transport: undefined as never,
    info: { id: "", identity: undefined },
    whyNotOpen: () => "",
    onDeadline: () => undefined,
  };
  const answerer = createProxyAnswerer(session?.calls as Calls);
  const calls: CallTable = new CallTable({ ...init, role: "server", answerer }, below, around);
  calls.onFrame({
    kind: "open",
    call: 1,
    method: 1,
    name: `${EchoService.typeName}/Echo`,
    headers: undefined,
    timeoutMs: 500,
    end: true,
    size: 0,
    resumeToken: "",
    idempotencyKey: "",
    payload: new Uint8Array(0),
  });
  await pair.clock.advance(1_000);
  expect(calls.size).toBe(1);
  calls.expire(pair.clock.now());
  expect(sent.at(-1)).toMatchObject({ kind: "end", call: 1, code: 4 });
  expect(calls.size).toBe(0);
  expect(calls.heldBytes).toBe(0);
  await pair.close();
  pair.assertFinished();
});
