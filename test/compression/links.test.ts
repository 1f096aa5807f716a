// Packets over real sockets, compressed: with each profile, with ws's own implementation at the other end, and in a browser.
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { deflateRawSync } from "node:zlib";
import type { Browser } from "playwright-core";
import { afterEach, describe, expect, it, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { SecretService } from "../../gen/hawser/test/v1/secret_pb.js";
import { type CompressionProfile, connect, createClient } from "../../src/client/index.js";
import { PROFILES } from "../../src/compression/settings.js";
import { takeOver } from "../../src/compression/ws-extension.js";
import { createServer, type ServerOptions } from "../../src/server/index.js";
import { createFaultProxy, seededRandom } from "../../src/testing/index.js";
import { launchChromium } from "../demo/chromium.js";
import { echoRoutes } from "../support/echo.js";
import { frames, packet } from "../support/frames.js";
import { RawClient, RawEnd } from "../support/raw.js";

const closers: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(options: Partial<ServerOptions>) {
  const http = createHttpServer();
  const sockets: Socket[] = [];
  http.on("connection", (socket) => sockets.push(socket));
  const server = createServer({ routes: echoRoutes(), ...options });
  server.attach(http);
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  closers.push(async () => {
    await server.close();
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });
  const { port } = http.address() as AddressInfo;
  return { server, port, url: `ws://127.0.0.1:${port}/rpc`, sockets };
}

/** `ws` with its own compression, or what a test wants of it. */
async function stockClient(url: string, perMessageDeflate: object | boolean = true): Promise<RawClient> {
  const ws = new WebSocket(url, "hawser.v1", { perMessageDeflate });
  let socket: Socket | undefined;
  ws.once("upgrade", (response) => {
    socket = response.socket;
  });
  await new Promise((resolve, reject) => ws.once("open", resolve).once("error", reject));
  closers.push(() => ws.terminate());
  return new RawClient(ws, socket as Socket);
}

const textOf = (random: () => number, length: number): string => {
  const words = ["alpha", "beta", "gamma", "delta", '{"id":', '"name":', "},"];
  let text = "";
  while (text.length < length)
    text += `${words[Math.floor(random() * words.length)]} ${Math.floor(random() * 50)} `;
  return text.slice(0, length);
};

const TEXT = textOf(seededRandom(1), 4_000);
const ON = ["memory", "balanced", "ratio"] as const;

describe.each(ON)("%s", (compression) => {
  test("carries every message whole, of any size and content, many at once", async () => {
    const { url } = await serve({ compression });
    const connection = connect(url, { compression });
    closers.push(() => connection.close());
    const client = createClient(EchoService, connection);
    const random = seededRandom(7);
    const bodies = Array.from({ length: 300 }, (_, index) => {
      const length = Math.floor(2 ** (random() * (index % 20 === 0 ? 21 : 13)));
      const text = new TextEncoder().encode(textOf(random, length));
      // A third is noise, a third text, a third both.
      if (index % 3 !== 0)
        for (let i = index % 3 === 1 ? 0 : length >> 1; i < length; i++) text[i] = random() * 256;
      return text;
    });
    const answers = await Promise.all(bodies.map((body) => client.echo({ body })));
    for (const [index, { body }] of answers.entries())
      expect(Buffer.compare(body, bodies[index] as Uint8Array)).toBe(0);
  });

  test("saves most of a text, in both directions", async () => {
    const { url, sockets } = await serve({ compression });
    const connection = connect(url, { compression });
    closers.push(() => connection.close());
    const client = createClient(EchoService, connection);
    const body = new TextEncoder().encode(TEXT);
    for (let i = 0; i < 20; i++) await client.echo({ body });
    const most = 20 * TEXT.length * 0.4;
    expect(sockets[0]?.bytesRead).toBeLessThan(most);
    expect(sockets[0]?.bytesWritten).toBeLessThan(most);
  });

  test("sends what does not get smaller as it is, after a few tries", async () => {
    const { url } = await serve({ compression });
    const raw = await stockClient(url);
    let compressed = 0;
    let messages = 0;
    // The first bit behind FIN says that a message is compressed (RFC 7692 section 6).
    raw.socket.on("data", (chunk: Buffer) => {
      messages++;
      if (((chunk[0] as number) & 0x40) !== 0) compressed++;
    });
    await raw.greet();
    const random = seededRandom(3);
    for (let i = 0; i < 60; i++) {
      const body = Uint8Array.from({ length: 2_000 }, () => random() * 256);
      const payload = new Uint8Array([0x1a, 0xd0, 0x0f, ...body]);
      raw.send(
        packet(
          i + 1,
          frames.open({ call: 2 * i + 1, name: i === 0 ? "hawser.test.v1.EchoService/Echo" : "", payload }),
        ),
      );
      await raw.hear("end", ({ call }) => call === 2 * i + 1);
    }
    expect(messages).toBeGreaterThanOrEqual(60);
    // With takeover, what was tried must be sent.
    expect(compressed).toBeLessThanOrEqual(compression === "ratio" ? 10 : 0);
  });

  test("ws's own client and server understand it, and it them, in fragments too", async () => {
    const { url } = await serve({ compression });
    const raw = await stockClient(url, { threshold: 0 });
    expect(raw.ws.extensions).toBe("permessage-deflate");
    await raw.greet();
    const payload = new Uint8Array([0x1a, 0xa0, 0x1f, ...new TextEncoder().encode(TEXT)]);
    for (let i = 0; i < 30; i++) {
      const message = packet(
        i + 1,
        frames.open({ call: 2 * i + 1, name: i === 0 ? "hawser.test.v1.EchoService/Echo" : "", payload }),
      );
      if (i % 2 === 0) raw.ws.send(message, { compress: true });
      else {
        for (const [from, to] of [
          [0, 10],
          [10, 2_000],
          [2_000, message.length],
        ] as const)
          raw.ws.send(message.subarray(from, to), { compress: true, fin: to === message.length });
      }
      expect((await raw.hear("end", ({ call }) => call === 2 * i + 1)).payload).toEqual(payload);
    }

    const wss = new WebSocketServer({
      port: 0,
      host: "127.0.0.1",
      perMessageDeflate: { threshold: 0 },
      handleProtocols: () => "hawser.v1",
    });
    closers.push(() => new Promise((resolve) => wss.close(resolve)));
    const end = new Promise<RawEnd>((resolve) => wss.once("connection", (ws) => resolve(new RawEnd(ws))));
    await new Promise((resolve) => wss.once("listening", resolve));
    const { port } = wss.address() as AddressInfo;
    const connection = connect(`ws://127.0.0.1:${port}/rpc`, { compression });
    closers.push(() => connection.close());
    const peer = await end;
    await peer.hear("hello");
    peer.send(packet(0, frames.welcome()));
    const client = createClient(EchoService, connection);
    for (let i = 0; i < 30; i++) {
      const answer = client.echo({ body: new TextEncoder().encode(TEXT) });
      const open = await peer.hear("open");
      peer.send(packet(i + 1, frames.end({ call: open.call, payload: open.payload })));
      expect(new TextDecoder().decode((await answer).body)).toBe(TEXT);
    }
    peer.ws.terminate();
  });
});

describe("what both sides agree on", () => {
  it.each<[string, CompressionProfile, object | boolean, string]>([
    ["a client that offers nothing", "balanced", false, ""],
    ["a server that is off", "off", true, ""],
    ["both", "balanced", true, "permessage-deflate"],
    ["a small window, as asked for", "balanced", { serverMaxWindowBits: 9 }, "permessage-deflate"],
    [
      "the smallest window, which zlib does not have: plain one way",
      "ratio",
      { serverMaxWindowBits: 8 },
      "permessage-deflate",
    ],
    [
      "a client that keeps nothing",
      "ratio",
      { serverNoContextTakeover: true, clientNoContextTakeover: true },
      "permessage-deflate",
    ],
  ])("%s", async (_, compression, perMessageDeflate, extensions) => {
    const { url, sockets } = await serve({ compression });
    const raw = await stockClient(url, perMessageDeflate);
    expect(raw.ws.extensions).toBe(extensions);
    await raw.greet();
    const payload = new Uint8Array([0x1a, 0xa0, 0x1f, ...new TextEncoder().encode(TEXT)]);
    for (let i = 0; i < 10; i++) {
      raw.send(
        packet(
          i + 1,
          frames.open({ call: 2 * i + 1, name: i === 0 ? "hawser.test.v1.EchoService/Echo" : "", payload }),
        ),
      );
      expect((await raw.hear("end", ({ call }) => call === 2 * i + 1)).payload).toEqual(payload);
    }
    const small = (sockets[0]?.bytesWritten ?? 0) < 10 * TEXT.length * 0.6;
    expect(small).toBe(extensions !== "" && !JSON.stringify(perMessageDeflate).includes(":8"));
  });

  it("is found out to be otherwise when ws is made otherwise", () => {
    const settings = PROFILES.balanced;
    expect(() => takeOver({} as WebSocket, "server", settings, 1)).toThrow("keeps its extensions elsewhere");
    const changed = { _extensions: { "permessage-deflate": {} } } as unknown as WebSocket;
    expect(() => takeOver(changed, "server", settings, 1)).toThrow("keeps what was agreed on elsewhere");
    expect(takeOver({ _extensions: {} } as unknown as WebSocket, "server", settings, 1)).toBeUndefined();
  });
});

describe("hostile data", () => {
  /** A WebSocket message of one masked frame that says it is compressed. */
  function compressedFrame(data: Uint8Array): Buffer {
    const head = Buffer.alloc(14);
    head[0] = 0xc2;
    head[1] = 0xff;
    head.writeBigUInt64BE(BigInt(data.length), 2);
    return Buffer.concat([head, data]);
  }

  it.each(ON)(
    "%s: a bomb is closed with 1009 while it is still small, and others are served",
    async (compression) => {
      const { url } = await serve({ compression });
      const other = connect(url, { compression });
      closers.push(() => other.close());
      await other.ready();
      const bomb = compressedFrame(deflateRawSync(Buffer.alloc(512 * 1024 * 1024)));
      const before = process.memoryUsage().rss;
      const raw = await stockClient(url);
      await raw.greet();
      raw.socket.write(bomb);
      expect(await raw.closed).toEqual({ code: 1009, reason: "more than 1048576 bytes come out of it" });
      expect((await createClient(EchoService, other).echo({ name: "fine" })).name).toBe("fine");
      // The limit of a packet, and what the other parts of this process do meanwhile; not the half gigabyte.
      expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
    },
  );

  it.each(ON)(
    "%s: what is no deflate data is closed with 1007, and the next message of others is right",
    async (compression) => {
      const { url } = await serve({ compression });
      const other = connect(url, { compression });
      closers.push(() => other.close());
      const raw = await stockClient(url);
      await raw.greet();
      raw.socket.write(compressedFrame(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x55, 0xaa])));
      expect(await raw.closed).toMatchObject({ code: 1007 });
      const body = new TextEncoder().encode(TEXT);
      expect((await createClient(EchoService, other).echo({ body })).body).toEqual(body);
    },
  );

  it("data that ends its stream, and thousands of small messages in one go, are read", async () => {
    const { url } = await serve({ compression: "balanced", messagesPerSecond: Number.POSITIVE_INFINITY });
    const raw = await stockClient(url);
    await raw.greet();
    const ping = (id: number) => compressedFrame(deflateRawSync(packet(0, frames.ping({ id }))));
    raw.socket.write(ping(1));
    await raw.hear("pong", ({ id }) => id === 1);
    const many = Array.from({ length: 5_000 }, () => compressedFrame(deflateRawSync(packet(0))));
    raw.socket.write(Buffer.concat([...many, ping(2)]));
    await raw.hear("pong", ({ id }) => id === 2);
  });
});

describe("option (hawser.v1.compression) = COMPRESSION_OFF", () => {
  /** What goes over the wire, both ways, without masks. */
  async function recorded(
    run: (client: ReturnType<typeof secretClient>, cut: () => Promise<void>) => Promise<void>,
  ) {
    const { port } = await serve({
      compression: "balanced",
      routes: (router) =>
        router.service(SecretService, {
          open: ({ text }) => ({ text }),
          secret: ({ text }) => ({ text }),
          async *secrets({ text, count }) {
            for (let i = 0; i < count; i++) yield { text };
          },
        }),
    });
    const down: Buffer[] = [];
    const proxy = await createFaultProxy({
      target: { port },
      mangle: (direction, chunk) => {
        if (direction === "down") down.push(Buffer.from(chunk));
        return chunk;
      },
    });
    closers.push(() => proxy.close());
    const connection = connect(proxy.url, { compression: "balanced", reconnect: { initialDelayMs: 1 } });
    closers.push(() => connection.close());
    await connection.ready();
    const cut = async () => {
      const resumed = new Promise((resolve) => connection.on("resumed", resolve));
      proxy.cut("reset");
      await resumed;
    };
    await run(secretClient(connection), cut);
    return Buffer.concat(down).toString("latin1");
  }

  const secretClient = (connection: ReturnType<typeof connect>) => createClient(SecretService, connection);
  const SECRET = `the secret is ${"swordfish ".repeat(40)}`;

  it("keeps a call's messages as they are, each way and in streams", async () => {
    const wire = await recorded(async (client) => {
      expect((await client.secret({ text: SECRET })).text).toBe(SECRET);
      for await (const { text } of client.secrets({ text: SECRET, count: 5 })) expect(text).toBe(SECRET);
    });
    expect(wire.split(SECRET)).toHaveLength(7);
  });

  it("keeps what shares a packet with them as it is, and nothing else", async () => {
    const open = `this is open: ${"catfish ".repeat(40)}`;
    const together = await recorded(async (client) => {
      await Promise.all([client.open({ text: open }), client.secret({ text: SECRET })]);
    });
    expect([together.includes(SECRET), together.includes(open)]).toEqual([true, true]);
    const alone = await recorded(async (client) => {
      await client.open({ text: open });
      await client.secret({ text: SECRET });
    });
    expect([alone.includes(SECRET), alone.includes(open)]).toEqual([true, false]);
  });

  it("holds when a packet is sent again", async () => {
    const wire = await recorded(async (client, cut) => {
      const text = `${SECRET} ${"x".repeat(200_000)}`;
      const answer = client.secret({ text });
      await cut();
      expect((await answer).text).toBe(text);
    });
    expect(wire).toContain(SECRET);
  });
});

test("a browser takes part by itself", async () => {
  const { url, sockets } = await serve({ compression: "balanced", allowedOrigins: "*" });
  const browser: Browser = await launchChromium();
  closers.push(() => browser.close());
  const page = await browser.newPage();
  const payload = new Uint8Array([0x1a, 0xa0, 0x1f, ...new TextEncoder().encode(TEXT)]);
  const messages = [packet(0, frames.hello()), packet(1, frames.open({ payload }))].map((bytes) => [
    ...bytes,
  ]);
  const result = await page.evaluate(
    async ({ url, messages }) => {
      const ws = new globalThis.WebSocket(url, "hawser.v1");
      ws.binaryType = "arraybuffer";
      const heard: number[] = [];
      await new Promise((resolve) => {
        ws.onopen = () => ws.send(new Uint8Array(messages[0] as number[]));
        ws.onmessage = ({ data }) => {
          heard.push((data as ArrayBuffer).byteLength);
          if (heard.length === 1) ws.send(new Uint8Array(messages[1] as number[]));
          else resolve(undefined);
        };
      });
      const { extensions } = ws;
      ws.close();
      return { extensions, heard };
    },
    { url, messages },
  );
  expect(result.extensions).toBe(
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
  );
  expect(result.heard[1]).toBeGreaterThan(TEXT.length);
  expect(sockets.at(-1)?.bytesWritten).toBeLessThan(TEXT.length * 0.6);
});
