// What every bus does. Time that passes is awaited and never measured.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Code } from "../../src/base/code.js";
import type { RpcError } from "../../src/base/error.js";
import { type Bus, type BusMessage, REST } from "../../src/broker/bus.js";
import { until } from "../support/until.js";

/** A node that has joined. */
export interface BusNode {
  readonly bus: Bus;
  /** It leaves in peace. */
  leave(): Promise<void>;
  /** It ends as by SIGKILL. */
  die(): Promise<void>;
}

/** Where nodes meet. Gone with all of them when it is disposed of. */
export interface BusWorld extends AsyncDisposable {
  join(): Promise<BusNode>;
}

/** Longer than anything takes here that happens. */
const LONG_MS = 20_000;

/** Names that would be something else in a subject, a path, a pattern, or an object. */
const hostileNames: readonly string[] = [
  "",
  " ",
  ".",
  "a.b",
  "..",
  "*",
  ">",
  "$SYS",
  "/",
  "=",
  "=2A",
  "==",
  "__proto__",
  "\r\nPUB x 0\r\n",
  "\0",
  "é",
  "🔑",
  "\ud800",
  "\udfff",
  '"',
  " blanks around ",
  "x".repeat(256),
  "x".repeat(1_024),
  "🔑".repeat(256),
];

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (payload: Uint8Array): string => new TextDecoder().decode(payload);

/** Runs the suite. */
export function busContract(name: string, create: () => Promise<BusWorld>): void {
  describe(`a bus: ${name}`, () => {
    let world: BusWorld;

    beforeEach(async () => {
      world = await create();
    });

    afterEach(async () => {
      await world[Symbol.asyncDispose]();
    });

    /** So many nodes that all know each other. */
    const joined = async (count: number): Promise<BusNode[]> => {
      const nodes: BusNode[] = [];
      for (let i = 0; i < count; i++) nodes.push(await world.join());
      await until(() => nodes.every(({ bus }) => bus.nodes.size === count - 1));
      return nodes;
    };

    const pair = async (): Promise<[Bus, Bus]> => {
      const [a, b] = await joined(2);
      return [a!.bus, b!.bus];
    };

    it("carries messages in their order, from this node too", async () => {
      const [a, b] = await pair();
      const heard: number[] = [];
      const own: number[] = [];
      const read = (into: number[]) => (message: BusMessage) =>
        into.push(new DataView(message.payload.buffer, message.payload.byteOffset).getUint32(0));
      await Promise.all([
        a.listen(["orders", "1"], read(own)).ready,
        b.listen(["orders", "1"], read(heard)).ready,
      ]);
      const count = 10_000;
      for (let i = 0; i < count; i++) {
        const payload = new Uint8Array(4);
        new DataView(payload.buffer).setUint32(0, i);
        a.send(["orders", "1"], payload);
      }
      await until(() => heard.length >= count && own.length >= count);
      const wanted = Array.from({ length: count }, (_, i) => i);
      expect(heard).toEqual(wanted);
      expect(own).toEqual(wanted);
    });

    it("brings a message to all who listen at its address, and to nobody else", async () => {
      const [a, b] = await pair();
      const heard: string[] = [];
      const listen = (bus: Bus, who: string, address: readonly string[]) =>
        bus.listen(address, ({ payload, rest }) => heard.push(`${who} ${text(payload)} ${rest.join(",")}`));
      const listeners = [
        listen(b, "one", ["t", "x"]),
        listen(b, "two", ["t", "x"]),
        listen(a, "three", ["t", "x"]),
        listen(b, "other", ["t", "y"]),
        listen(b, "longer", ["t", "x", "z"]),
        listen(b, "shorter", ["t"]),
        listen(b, "rest", ["t", REST]),
      ];
      await Promise.all(listeners.map(({ ready }) => ready));
      a.send(["t", "x"], bytes("hello"));
      a.send(["t"], bytes("end"));
      await until(() => heard.length >= 5);
      expect(heard.sort()).toEqual([
        "one hello ",
        "rest hello x",
        "shorter end ",
        "three hello ",
        "two hello ",
      ]);
    });

    it("hears nothing any more when a listener is closed", async () => {
      const [a, b] = await pair();
      const heard: string[] = [];
      const closed = b.listen(["t"], () => heard.push("closed"));
      const open = b.listen(["t"], () => heard.push("open"));
      await Promise.all([closed.ready, open.ready]);
      closed.close();
      closed.close();
      a.send(["t"], bytes("1"));
      await until(() => heard.length > 0);
      expect(heard).toEqual(["open"]);
      open.close();
      await expect(b.ask(["t"], bytes("2"), LONG_MS)).rejects.toMatchObject({ code: Code.Unavailable });
    });

    it("does not leave those waiting who close before they are heard", async () => {
      const [a] = await pair();
      const listener = a.listen(["t"], () => {});
      listener.close();
      await listener.ready;
    });

    it("hears one part more, whatever it is, and tells it", async () => {
      const [a, b] = await pair();
      const heard: (readonly string[])[] = [];
      await b.listen(["topic", REST], ({ rest }) => heard.push(rest)).ready;
      a.send(["topic"], bytes(""));
      a.send(["topic", "a", "b"], bytes(""));
      for (const part of hostileNames) a.send(["topic", part], bytes(""));
      await until(() => heard.length >= hostileNames.length);
      expect(heard).toEqual(hostileNames.map((part) => [part]));
    });

    it("keeps hostile names apart", async () => {
      const [a, b] = await pair();
      const heard: string[] = [];
      // What is REST as a last part is a name anywhere else.
      const listeners = hostileNames.map((part) =>
        b.listen(["in", part, "end"], ({ payload }) => heard.push(`${text(payload)} at ${part}`)),
      );
      await Promise.all(listeners.map(({ ready }) => ready));
      hostileNames.forEach((part, index) => {
        a.send(["in", part, "end"], bytes(String(index)));
      });
      await until(() => heard.length >= hostileNames.length);
      expect(heard).toEqual(hostileNames.map((part, index) => `${index} at ${part}`));
    });

    it("carries payloads from none to as many bytes as it says", async () => {
      const [a, b] = await pair();
      await b.listen(["t"], (message) => message.reply(message.payload)).ready;
      expect(await a.ask(["t"], new Uint8Array(0), LONG_MS)).toHaveLength(0);
      const large = new Uint8Array(a.maxPayload).fill(7);
      expect(await a.ask(["t"], large, LONG_MS)).toHaveLength(large.length);
      // With a last part that makes it longest.
      await b.listen(["u", REST], (message) => message.reply(message.payload)).ready;
      expect(await a.ask(["u", "\0".repeat(1_024)], large, LONG_MS)).toHaveLength(large.length);
      const tooLarge = new Uint8Array(a.maxPayload + 1);
      const exhausted = { code: Code.ResourceExhausted, executed: "no" };
      expect(() => a.send(["t"], tooLarge)).toThrow(expect.objectContaining(exhausted));
      await expect(a.ask(["t"], tooLarge, LONG_MS)).rejects.toMatchObject(exhausted);
      await expect(a.askAll(["t"], tooLarge, LONG_MS)).rejects.toMatchObject(exhausted);
    });

    it("asks, and gives the first answer", async () => {
      const [a, b] = await pair();
      await b.listen(["node", b.node], (message) => {
        message.reply(bytes(`${text(message.payload)}!`));
        message.reply(bytes("a second one"));
      }).ready;
      expect(text(await a.ask(["node", b.node], bytes("hello"), LONG_MS))).toBe("hello!");
      expect(text(await b.ask(["node", b.node], bytes("me"), LONG_MS))).toBe("me!");
      const answers = await Promise.all(
        Array.from({ length: 1_000 }, (_, i) => a.ask(["node", b.node], bytes(String(i)), LONG_MS)),
      );
      expect(answers.map(text)).toEqual(answers.map((_, i) => `${i}!`));
    });

    it("fails at once where nobody listens, and after the time where nobody answers", async () => {
      const [a, b] = await pair();
      await expect(a.ask(["nobody"], bytes(""), LONG_MS)).rejects.toMatchObject({
        code: Code.Unavailable,
        executed: "no",
      });
      let replies = 0;
      await b.listen(["mute"], (message) => {
        // Nobody waits for it any more.
        setTimeout(() => {
          message.reply(bytes("late"));
          replies++;
        }, 200);
      }).ready;
      await expect(a.ask(["mute"], bytes(""), 50)).rejects.toMatchObject({ code: Code.DeadlineExceeded });
      await until(() => replies === 1);
    });

    it("does not mind a reply that nobody asked for", async () => {
      const [a, b] = await pair();
      const heard: string[] = [];
      await b.listen(["t"], (message) => {
        message.reply(bytes("answer"));
        heard.push(text(message.payload));
      }).ready;
      a.send(["t"], bytes("1"));
      a.send(["t"], bytes("2"));
      await until(() => heard.length === 2);
      expect(heard).toEqual(["1", "2"]);
    });

    it("asks all, and ends when as many have answered as there are", async () => {
      const nodes = await joined(3);
      for (const { bus } of nodes) await bus.listen(["who"], (m) => m.reply(bytes(bus.node))).ready;
      for (const { bus } of nodes) {
        const answers = await bus.askAll(["who"], bytes(""), LONG_MS);
        expect(answers.map(text).sort()).toEqual(nodes.map((node) => node.bus.node).sort());
      }
    });

    it("asks all, and ends after the time when one does not answer", async () => {
      const [a, b, c] = await joined(3);
      await a!.bus.listen(["who"], (m) => m.reply(bytes("a"))).ready;
      await b!.bus.listen(["who"], (m) => m.reply(bytes("b"))).ready;
      await c!.bus.listen(["who"], () => {}).ready;
      const answers = await a!.bus.askAll(["who"], bytes(""), 200);
      expect(answers.map(text).sort()).toEqual(["a", "b"]);
      expect(await a!.bus.askAll(["nobody"], bytes(""), LONG_MS)).toEqual([]);
    });

    it("does not wait any longer for an answer of a node that has left", async () => {
      const [a, b, c] = await joined(3);
      await a!.bus.listen(["who"], (m) => m.reply(bytes("a"))).ready;
      await b!.bus.listen(["who"], (m) => m.reply(bytes("b"))).ready;
      let asked = false;
      await c!.bus.listen(["who"], () => {
        asked = true;
      }).ready;
      const answers = a!.bus.askAll(["who"], bytes(""), 2 ** 40);
      await until(() => asked);
      await c!.leave();
      expect((await answers).map(text).sort()).toEqual(["a", "b"]);
    });

    it("locates what is registered, on all nodes, until it is not", async () => {
      const [a, b] = await pair();
      const found = async (bus: Bus, kind: string, name: string) =>
        (await bus.locate(kind, name)).map(({ node, id }) => `${node} ${id}`).sort();
      const becomes = async (bus: Bus, name: string, wanted: readonly string[]) => {
        const sorted = [...wanted].sort().join("\n");
        while ((await found(bus, "identity", name)).join("\n") !== sorted) {
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      };
      expect(await a.locate("identity", "eve")).toEqual([]);
      a.register("identity", "eve", "1");
      a.register("identity", "eve", "1");
      a.register("identity", "eve", "2");
      b.register("identity", "eve", "3");
      b.register("identity", "adam", "4");
      b.register("session", "eve", "5");
      const all = [`${a.node} 1`, `${a.node} 2`, `${b.node} 3`];
      for (const bus of [a, b]) await becomes(bus, "eve", all);
      // The same on another node, as when a session moves: each takes its own away only.
      b.register("identity", "eve", "1");
      for (const bus of [a, b]) await becomes(bus, "eve", [...all, `${b.node} 1`]);
      a.unregister("identity", "eve", "1");
      a.unregister("identity", "eve", "none");
      for (const bus of [a, b]) await becomes(bus, "eve", [`${a.node} 2`, `${b.node} 3`, `${b.node} 1`]);
      a.unregister("identity", "eve", "2");
      b.unregister("identity", "eve", "3");
      b.unregister("identity", "eve", "1");
      for (const bus of [a, b]) await becomes(bus, "eve", []);
      for (const bus of [a, b]) await becomes(bus, "adam", [`${b.node} 4`]);
    });

    it("locates hostile names", async () => {
      const [a, b] = await pair();
      for (const name of hostileNames) a.register(name, name, name);
      for (const name of hostileNames) {
        let found = await b.locate(name, name);
        while (found.length === 0) found = await b.locate(name, name);
        expect(found).toEqual([{ node: a.node, id: name }]);
      }
    });

    it("does not locate what is on a node that has left", async () => {
      const [a, b] = await joined(2);
      b!.bus.register("session", "s", "1");
      while ((await a!.bus.locate("session", "s")).length === 0);
      await b!.leave();
      await until(() => a!.bus.nodes.size === 0);
      expect(await a!.bus.locate("session", "s")).toEqual([]);
    });

    it("tells who is there, who comes and who leaves", async () => {
      const [a, b] = await joined(2);
      const told: string[] = [];
      const stop = a!.bus.watch({
        onNode: (node) => told.push(`+${node}`),
        onNodeGone: (node) => told.push(`-${node}`),
      });
      expect(told).toEqual([`+${b!.bus.node}`]);
      const c = await world.join();
      expect(c.bus.nodes).toEqual(new Set([a!.bus.node, b!.bus.node]));
      await until(() => told.length === 2);
      await b!.leave();
      await until(() => told.length === 3);
      expect(told).toEqual([`+${b!.bus.node}`, `+${c.bus.node}`, `-${b!.bus.node}`]);
      expect(a!.bus.nodes).toEqual(new Set([c.bus.node]));
      stop();
      await c.leave();
      await until(() => a!.bus.nodes.size === 0);
      expect(told).toHaveLength(3);
      expect(a!.bus.up).toBe(true);
    });

    it("notices that a node was killed", async () => {
      const [a, b] = await joined(2);
      const gone: string[] = [];
      a!.bus.watch({ onNodeGone: (node) => gone.push(node) });
      await b!.bus.listen(["t"], (message) => message.reply(message.payload)).ready;
      b!.bus.register("session", "s", "1");
      while ((await a!.bus.locate("session", "s")).length === 0);
      await b!.die();
      // Nobody hears it any more, whether the others have noticed or not; a question that was on its way is not answered.
      const codeOf = () => a!.bus.ask(["t"], bytes(""), 500).catch(({ code }: RpcError) => code);
      let code = await codeOf();
      while (code === Code.DeadlineExceeded) code = await codeOf();
      expect(code).toBe(Code.Unavailable);
      await until(() => gone.length > 0);
      expect(gone).toEqual([b!.bus.node]);
      expect(await a!.bus.locate("session", "s")).toEqual([]);
    });
  });
}
