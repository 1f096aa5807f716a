// Each release that is frozen in test/compat/releases speaks with the present code, in both directions.
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { ConnectOptions } from "../../src/client/index.js";
import type { Client, ServerOptions } from "../../src/server/index.js";
import { createFaultProxy } from "../../src/testing/index.js";
import { exchange, expectedResult } from "../support/echo.js";
import type { VectorFile } from "../vectors/generate.js";
import { FOLDER, pairs, type Release, releases } from "./frozen.js";
import { echoOf } from "./handlers.js";
import * as present from "./release.js";

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface World {
  readonly client: Client<typeof present.EchoService>;
  readonly counter: Client<typeof present.CounterService>;
  readonly topics: Client<typeof present.TopicService>;
  /** Connections that the client has opened. */
  readonly links: () => number;
  readonly cut: () => void;
  /** How often the session has gone on after a break. */
  readonly resumes: () => number;
  /** Numbers of the increments whose handlers ran. */
  readonly ran: readonly bigint[];
}

/** A client of one release at a server of another. */
async function meet(
  ours: Release,
  theirs: Release,
  options: { readonly server?: Partial<ServerOptions>; readonly client?: ConnectOptions } = {},
): Promise<World> {
  const Notes = theirs.defineTopic({
    name: (name: string) => `notes.${name}`,
    schema: theirs.NoteSchema,
    history: { size: 100, ttlMs: 60_000 },
  });
  const ran: bigint[] = [];
  const server = theirs.createServer({
    idempotencyStore: theirs.memoryIdempotencyStore(),
    logger: { warn: () => undefined, error: () => undefined },
    routes: (router) => {
      router.service(theirs.EchoService, echoOf(theirs));
      router.service(theirs.TopicService, {
        watch: ({ name }) => Notes(name),
        post: ({ name, note }, context) => context.publish(Notes(name), note ?? {}),
      });
      router.service(theirs.CounterService, {
        increment({ number }) {
          ran.push(number);
          return { value: number * 10n };
        },
      });
    },
    ...options.server,
  });
  closers.push(() => server.close());
  const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
  const proxy = await createFaultProxy({ target: { port } });
  closers.push(() => proxy.close());
  const connection = ours.connect(proxy.url, { reconnect: { initialDelayMs: 1 }, ...options.client });
  closers.push(() => connection.close());
  let resumes = 0;
  connection.on("resumed", () => {
    resumes++;
  });
  await connection.ready();
  return {
    client: ours.createClient(ours.EchoService, connection),
    counter: ours.createClient(ours.CounterService, connection),
    topics: ours.createClient(ours.TopicService, connection),
    links: () => proxy.connections,
    cut: () => proxy.cut("reset"),
    resumes: () => resumes,
    ran,
  };
}

it("there is a release to be held to", () => {
  expect(releases.map(([version]) => version)).toContain("0.1.0");
});

describe.each(pairs)("%s", (_, ours, theirs) => {
  it("makes calls of all kinds", async () => {
    const { client } = await meet(ours, theirs);
    expect(await exchange(client, "tag")).toEqual(expectedResult("tag"));
  });

  it("sends large messages both ways, compressed where both can", async () => {
    for (const compression of ["off", "balanced"] as const) {
      const { client } = await meet(ours, theirs, { server: { compression }, client: { compression } });
      const body = new Uint8Array(700_000).map((_, i) => (i % 251) ^ (i >> 10));
      const answer = await client.echo({ id: 1n, name: "large", body });
      expect(Buffer.compare(answer.body, body)).toBe(0);
    }
  });

  it("tells errors with code, details and whether the handler ran; headers and trailers too", async () => {
    const { client } = await meet(ours, theirs);
    const error = await client.echo({ name: "fail" }).then(
      () => expect.fail("it did not fail"),
      (error: unknown) => error as InstanceType<typeof ours.RpcError>,
    );
    expect(error).toBeInstanceOf(ours.RpcError);
    expect([error.code, error.executed]).toEqual([ours.Code.InvalidArgument, "yes"]);
    expect(error.message).toContain("as you wish");
    expect(error.findDetails(ours.NoteSchema).map(({ number }) => number)).toEqual([7]);
    let header: string | null = "";
    let trailer: string | null = "";
    await client.echo(
      { name: "headers" },
      {
        headers: { "x-asked": "kraków" },
        onHeader: (headers) => {
          header = headers.get("x-answer");
        },
        onTrailer: (trailers) => {
          trailer = trailers.get("x-trailer");
        },
      },
    );
    expect([header, trailer]).toEqual(["kraków", "bye"]);
  });

  it("keeps deadlines, and cancels", async () => {
    const { client } = await meet(ours, theirs);
    await expect(client.echo({ name: "hang" }, { timeoutMs: 50 })).rejects.toMatchObject({
      code: ours.Code.DeadlineExceeded,
    });
    const stop = new AbortController();
    const call = client.echo({ name: "hang" }, { signal: stop.signal });
    stop.abort();
    await expect(call).rejects.toMatchObject({ code: ours.Code.Canceled });
    for await (const { number } of client.repeat({ count: 1_000_000 })) if (number === 3) break;
    expect((await client.echo({ name: "still there" })).name).toBe("still there");
  });

  it("authenticates, and resumes the session over a broken link without losing or doubling anything", async () => {
    const { client, links, cut, resumes } = await meet(ours, theirs, {
      server: { authenticate: ({ credentials }) => ({ id: credentials }) },
      client: { credentials: "ada" },
    });
    const numbers: number[] = [];
    const count = 3_000;
    for await (const { number } of client.repeat({ body: new Uint8Array(500), count })) {
      numbers.push(number);
      if (number === 200 || number === 1_500) cut();
    }
    expect(numbers).toEqual(Array.from({ length: count }, (_, i) => i + 1));
    expect(links()).toBe(3);
    expect(resumes()).toBe(2);
  });

  it("runs what has a key once", async () => {
    const { counter, ran } = await meet(ours, theirs);
    expect((await counter.increment({ number: 4n })).value).toBe(40n);
    for (let attempt = 0; attempt < 2; attempt++)
      expect((await counter.increment({ number: 5n }, { idempotencyKey: "five" })).value).toBe(50n);
    expect(ran).toEqual([4n, 5n]);
  });

  it("follows topics through a broken link", async () => {
    const { topics, cut } = await meet(ours, theirs);
    const seen: number[] = [];
    await topics.post({ name: "a", note: { number: 0 } });
    const stop = new AbortController();
    const watching = (async () => {
      for await (const note of topics.watch({ name: "a" }, { signal: stop.signal })) {
        seen.push(note.number);
        if (seen.length === 4) cut();
        if (note.number === 20) return;
      }
    })();
    // Until it is subscribed: what was published before is not for it.
    for (let number = 1; !seen.includes(1); ) {
      await topics.post({ name: "a", note: { number } });
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const first = seen.length;
    for (let number = 2; number <= 20; number++) await topics.post({ name: "a", note: { number } });
    await watching;
    expect(seen.slice(first).filter((number) => number > 1)).toEqual(
      Array.from({ length: 19 }, (_, i) => i + 2),
    );
  });
});

describe.each(releases)("what %s wrote down of the wire", (version, release) => {
  const files = globSync(join(FOLDER, version, "vectors/*.json"));

  it.each(files.map((file) => [basename(file), file] as const))("%s is understood", (_, file) => {
    const { vectors } = JSON.parse(readFileSync(file, "utf8")) as VectorFile;
    expect(vectors.length).toBeGreaterThan(0);
    for (const { hex } of vectors) {
      const bytes = new Uint8Array(Buffer.from(hex, "hex"));
      // More may be said of it by now.
      expect(present.decodePacket(bytes)).toMatchObject(release.decodePacket(bytes));
    }
  });
});
