import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { bundle } from "../../src/bench/bundle.js";
import type { BenchServer, Contender } from "../../src/bench/contender.js";
import { create as hawser } from "../../src/bench/contenders/hawser.js";
import { create as hawserEs } from "../../src/bench/contenders/hawser-es.js";
import { create as net } from "../../src/bench/contenders/net.js";
import { create as ws } from "../../src/bench/contenders/ws.js";
import { CONTENDERS, type ContenderName } from "../../src/bench/contenders.js";
import { echoInLoops, windowed } from "../../src/bench/loops.js";
import { isSameMessage, makeBodies, rawMessages } from "../../src/bench/payload.js";
import { SCENARIOS } from "../../src/bench/scenarios.js";

const servers: BenchServer[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

async function serve(contender: Contender): Promise<BenchServer> {
  const server = await contender.serve();
  servers.push(server);
  return server;
}

/** Those that need no package of a peer. */
const OWN: readonly (readonly [string, () => Contender])[] = [
  ["net", net],
  ["ws", () => ws("")],
  ["ws-deflate", () => ws("deflate")],
  ["hawser", () => hawser("")],
  ["hawser-es", () => hawserEs("")],
  ["hawser-keys", () => hawser("keys")],
  ["hawser-authenticated", () => hawser("authenticated")],
  ["hawser-no-limits", () => hawser("unlimited")],
  ["hawser-ratio", () => hawser("ratio")],
];

describe.each(OWN)("%s", (_, create) => {
  it.each([32, 1_024, 200_000])(
    "gives back messages of %i bytes, and streams them both ways",
    async (bytes) => {
      const contender = create();
      const server = await serve(contender);
      const client = await contender.connect(server.port, makeBodies(bytes, "numbers"), false);
      const times = new Float64Array(3);
      await client.echo(3, 1, times);
      expect([...times].every((time) => time > 0)).toBe(true);
      await client.echo(20, 8, undefined);
      await client.push?.(20);
      await client.upload?.(20);
      await client.converse?.(20, 4);
      await client.echo(20, 64, undefined);
      expect(server.traffic()).toBeGreaterThan(
        2 * 63 * bytes * (_ === "ws-deflate" || _ === "hawser-ratio" ? 0 : 1),
      );
      await client.close();
    },
  );

  it("delivers what is published to all that are subscribed", async () => {
    const contender = create();
    const server = await serve(contender);
    const client = await contender.connect(server.port, makeBodies(32, "numbers"), false);
    const open = () => contender.subscribe?.(server.port);
    const subscribers = (await Promise.all([open(), open(), open()])).filter((one) => one !== undefined);
    expect(subscribers).toHaveLength(3);
    const done = Promise.all(subscribers.map((subscriber) => subscriber.wait(25)));
    await client.publish?.(25, 10, 100);
    await done;
    for (const subscriber of subscribers) subscriber.destroy();
    await client.close();
  });

  it("comes back when its link breaks", async () => {
    const contender = create();
    const server = await serve(contender);
    const client = await contender.connect(server.port, makeBodies(32, "numbers"), true);
    await client.echo(1, 1, undefined);
    const recovered = client.recovered?.();
    expect(recovered).toBeDefined();
    server.cut();
    await recovered;
    await client.echo(5, 2, undefined);
    await client.close();
  });
});

describe("replies", () => {
  it("are told apart by id and by length", () => {
    const [first, second] = rawMessages(makeBodies(32, "numbers"), 2) as [Buffer, Buffer];
    expect(isSameMessage(Buffer.from(first), first)).toBe(true);
    expect(isSameMessage(second, first)).toBe(false);
    expect(isSameMessage(first.subarray(0, -1), first)).toBe(false);
  });

  it("that are wrong end the measurement", async () => {
    const call = async (id: number) => id;
    await expect(echoInLoops(call, (answer) => answer !== 7, 10, 2, undefined)).rejects.toThrow(
      "another message came back",
    );
  });

  it("let the next requests of a stream go, no more of them than its depth", async () => {
    const window = windowed((id) => id, 5, 2);
    const sent: number[] = [];
    const sending = (async () => {
      for await (const id of window.requests) sent.push(id);
    })();
    await new Promise((resolve) => setImmediate(resolve));
    expect(sent).toEqual([0, 1]);
    for (let i = 0; i < 5; i++) {
      expect(window.expected).toBe(i);
      window.onReply();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await sending;
    expect(sent).toEqual([0, 1, 2, 3, 4]);
  });
});

/** A bundled file and all chunks that it loads. */
function wholeCode(file: string): string {
  const own = readFileSync(file, "utf8");
  const chunks = [...own.matchAll(/from "(\.[^"]+)"/g)].map(([, path = ""]) => join(dirname(file), path));
  return own + chunks.map(wholeCode).join("");
}

describe("bundles", () => {
  it("hold generated codecs for hawser, and none for hawser-es", async () => {
    const bundles = await bundle(["hawser", "hawser-es"]);
    try {
      const code = (name: ContenderName) => wholeCode(fileURLToPath(bundles.of(name).module));
      expect(code("hawser")).toContain("function writeEchoRequest(");
      expect(code("hawser-es")).not.toContain("function writeEchoRequest(");
    } finally {
      bundles.remove();
    }
  });
});

describe("the list of contenders", () => {
  it("says how each is set up, and each is measured somewhere", () => {
    const measured = new Set(SCENARIOS.flatMap(({ contenders }) => contenders));
    for (const [name, { settings }] of Object.entries(CONTENDERS)) {
      expect(settings, name).not.toBe("");
      expect(measured, name).toContain(name);
    }
  });
});
