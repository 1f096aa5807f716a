import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { DEFAULT_SETTINGS } from "../../src/session/settings.js";

const MiB = 1024 * 1024;
const TOTAL = 64 * MiB;

/** What one process may hold: a window each way, the outbox, and as much again for the runtime's own buffers. */
const ALLOWED = 2 * (2 * DEFAULT_SETTINGS.limits.creditBytes + DEFAULT_SETTINGS.outboxBytes) + 16 * MiB;

type Message = Record<string, unknown>;
interface Memory {
  readonly rss: number;
  readonly written: number;
  readonly read: number;
}

const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

/** A process that runs a script of test/support, with the messages that it has sent. */
function start(script: string, ...args: string[]) {
  const path = fileURLToPath(new URL(`../support/${script}`, import.meta.url));
  const child = fork(path, args, { execArgv: ["--expose-gc", "--import", "tsx"] });
  children.push(child);
  const waiting = new Map<string, (message: Message) => void>();
  const come: Message[] = [];
  child.on("message", (message: Message) => {
    for (const [key, resolve] of waiting) {
      if (key in message) {
        waiting.delete(key);
        resolve(message);
        return;
      }
    }
    come.push(message);
  });
  return {
    child,
    /** The next message with this key. */
    take<T>(key: string): Promise<T> {
      const index = come.findIndex((message) => key in message);
      if (index >= 0) return Promise.resolve(come.splice(index, 1)[0] as T);
      return new Promise((resolve) => waiting.set(key, resolve as (message: Message) => void));
    },
    send(order: string) {
      child.send(order);
    },
  };
}

async function memory(process: ReturnType<typeof start>): Promise<Memory> {
  process.send("memory");
  return process.take<Memory>("rss");
}

/** Waits until neither side makes progress any more: the same counts several times in a row. */
async function settled(a: ReturnType<typeof start>, b: ReturnType<typeof start>): Promise<[Memory, Memory]> {
  let last = "";
  for (let same = 0; same < 4; ) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const [one, two] = [await memory(a), await memory(b)];
    const now = JSON.stringify([one.written, one.read, two.written, two.read]);
    same = now === last && one.read > 0 && two.read > 0 ? same + 1 : 0;
    last = now;
  }
  return [await memory(a), await memory(b)];
}

describe("64 MiB up and 64 MiB down with readers that stop", () => {
  // Messages that fit into a frame, that are cut into a few pieces, and that are larger than the window.
  it.each([16 * 1024, 64 * 1024, MiB])(
    "in messages of %i bytes: memory stays within the windows, a unary call is answered meanwhile",
    async (messageBytes) => {
      const server = start("memory-server.ts");
      const { port } = await server.take<{ port: number }>("port");
      const serverBefore = await memory(server);
      const client = start(
        "memory-client.ts",
        String(port),
        String(messageBytes),
        String(TOTAL / messageBytes),
      );
      await client.take("started");

      const [atServer, atClient] = await settled(server, client);
      const clientBefore = (atClient as Memory & { before: number }).before;
      // Both readers have had one message; the writers were stopped by credit, not by the end of their data.
      expect(atServer.read).toBe(1);
      expect(atClient.read).toBe(1);
      const window = DEFAULT_SETTINGS.limits.creditBytes / messageBytes + 4;
      expect(atServer.written).toBeLessThan(window);
      expect(atClient.written).toBeLessThan(window);
      expect(atServer.rss - serverBefore.rss).toBeLessThan(ALLOWED);
      expect(atClient.rss - clientBefore).toBeLessThan(ALLOWED);

      client.send("unary");
      const answer = await client.take<{ unary: number; beforehand: unknown; after: unknown }>("unary");
      expect(answer.unary).toBe(5);
      // It overtook the transfers: they stood still meanwhile.
      expect(answer.after).toEqual(answer.beforehand);

      server.send("go");
      client.send("go");
      const { done } = await client.take<{ done: unknown }>("done");
      expect(done).toEqual({ up: TOTAL, down: TOTAL });
      expect((await memory(server)).rss - serverBefore.rss).toBeLessThan(ALLOWED + 32 * MiB);
    },
  );
});
