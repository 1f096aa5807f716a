// What runs in each page of the tests: a shared connection, and work over it that notices whatever is lost or doubled.
import { CounterService } from "../../gen/hawser/test/v1/counter_hawser.js";
import { EchoService } from "../../gen/hawser/test/v1/echo_hawser.js";
import { TopicService } from "../../gen/hawser/test/v1/topics_hawser.js";
import {
  connectTabs,
  createClient,
  type HeldBy,
  RpcError,
  type TabsConnection,
  type TabsOptions,
} from "../../src/tabs/index.js";
import { type ExchangeResult, exchange } from "../support/echo.js";

/** What a page has seen. */
export interface Seen {
  /** Numbers of the last messages: of a stream, of an exchange, of a topic. */
  stream: number;
  exchanged: number;
  note: number;
  notes: number;
  /** Calls that were answered. */
  adds: number;
  resumed: number;
  lost: number;
  /** Whatever should not be. */
  readonly faults: string[];
}

/** How a page is to share. */
export interface Setup {
  readonly mode: "worker" | "leader";
  /** Path of the worker's script. */
  readonly script?: string;
  readonly options?: TabsOptions;
  /** Credentials, which a function of the page gives. */
  readonly token?: string;
}

/** What a test asks of a page. */
export interface TabPage {
  readonly seen: Seen;
  /** Messages that were read of {@link TabPage.readSlowly}. */
  read: number;
  /** Connects. */
  start(setup: Setup): Promise<void>;
  heldBy(): HeldBy | undefined;
  state(): string;
  close(): Promise<void>;
  /**
   * Begins work that no retry may help: none of its methods may be attempted again, so a session that is lost shows.
   *
   * @param tab a number that only this page has
   */
  work(tab: number): void;
  /** Calls of all four kinds. */
  exchange(tag: string): Promise<ExchangeResult>;
  /** A call that fails. */
  fail(): Promise<{ code: number; message: string; executed: string; trailer: string | null }>;
  /** Begins a stream of messages, and reads one; the others when {@link TabPage.readOn} says so. */
  readSlowly(bytes: number, count: number): void;
  readOn(): void;
  /** Sends a large message there and back; gives its length. */
  large(bytes: number): Promise<number>;
  /** Keeps the page from doing anything. */
  block(ms: number): void;
}

declare global {
  interface Window {
    readonly tab: TabPage;
  }
}

const seen: Seen = { stream: 0, exchanged: 0, note: 0, notes: 0, adds: 0, resumed: 0, lost: 0, faults: [] };
let connection: TabsConnection;
let readOn: () => void = () => undefined;

/** Runs a task for ever; that it ends, well or not, is a fault. */
function run(what: string, task: () => Promise<void>): void {
  task().then(
    () => seen.faults.push(`${what} ended`),
    (error: unknown) => {
      const executed = error instanceof RpcError ? ` (${error.executed})` : "";
      seen.faults.push(`${what}: ${String(error)}${executed}`);
    },
  );
}

function next(number: number, last: number): number {
  if (number !== last + 1) throw new Error(`${number} after ${last}`);
  return number;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const tab: TabPage = {
  seen,
  read: 0,
  heldBy: () => connection.heldBy,
  state: () => connection.state,
  close: () => connection.close(),
  readOn: () => readOn(),

  async start({ mode, script = "/worker.js", options, token }) {
    connection = connectTabs(`ws://${location.host}/rpc`, {
      reconnect: { initialDelayMs: 20, maxDelayMs: 100 },
      ...options,
      ...(token === undefined ? {} : { credentials: async () => token }),
      ...(mode === "leader" ? {} : { worker: (name) => new SharedWorker(script, { type: "module", name }) }),
    });
    connection.on("resumed", () => seen.resumed++);
    connection.on("lost", () => seen.lost++);
    await connection.ready();
  },

  work(tab) {
    const counter = createClient(CounterService, connection);
    const topics = createClient(TopicService, connection);
    run("stream", async () => {
      for await (const { number } of counter.follow({ count: 1_000_000 }))
        seen.stream = next(number, seen.stream);
    });
    run("exchange", async () => {
      async function* numbers() {
        for (let number = 1; ; number++) {
          yield { number };
          await pause(3);
        }
      }
      for await (const { number } of counter.exchange(numbers()))
        seen.exchanged = next(number, seen.exchanged);
    });
    run("adds", async () => {
      for (let i = 0; ; i++) {
        await counter.add({ number: BigInt(tab) * 1_000_000n + BigInt(i) }, { retry: false });
        seen.adds++;
        await pause(2);
      }
    });
    run("notes", async () => {
      for await (const { number } of topics.watch({ name: "all" }))
        seen.note = seen.notes++ === 0 ? number : next(number, seen.note);
    });
  },

  exchange: (tag) => exchange(createClient(EchoService, connection), tag),

  async fail() {
    try {
      await createClient(CounterService, connection).set({ value: 1n }, { headers: { "x-tag": "7" } });
    } catch (error) {
      const { code, rawMessage, executed, metadata } = error as RpcError;
      return { code, message: rawMessage, executed, trailer: metadata.get("x-tag") };
    }
    throw new Error("it did not fail");
  },

  readSlowly(bytes, count) {
    const gate = new Promise<void>((resolve) => {
      readOn = resolve;
    });
    const stream = createClient(EchoService, connection).repeat({ body: new Uint8Array(bytes), count });
    void (async () => {
      for await (const _ of stream) if (tab.read++ === 0) await gate;
    })();
  },

  async large(bytes) {
    const body = new Uint8Array(bytes).fill(7);
    return (await createClient(EchoService, connection).echo({ body })).body.length;
  },

  block(ms) {
    setTimeout(() => {
      const end = performance.now() + ms;
      while (performance.now() < end);
    });
  },
};

Object.assign(window, { tab });
