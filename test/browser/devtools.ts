import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket from "ws";
import { chromiumPath, FLAGS } from "../demo/chromium.js";

/** A tab of {@link Tabs}. */
export interface Tab {
  /** Exceptions that nobody caught. */
  readonly faults: readonly string[];
  /** Runs a function in the page and waits for what it gives. Its arguments and its result travel as JSON. */
  evaluate<Args extends readonly unknown[], T>(run: (...args: Args) => T, ...args: Args): Promise<Awaited<T>>;
  /** Asks again and again until the answer is true. */
  until(holds: () => boolean): Promise<void>;
  goto(url: string): Promise<void>;
  /** Brings it to the front of its window; the others are hidden. */
  show(): Promise<void>;
  freeze(state: "frozen" | "active"): Promise<void>;
  close(): Promise<void>;
}

/**
 * A Chromium whose tabs are hidden when others are shown, frozen, and kept when they are left, as those of its users are:
 * Playwright keeps its pages from all of that.
 */
export interface Tabs {
  open(url: string): Promise<Tab>;
  close(): Promise<void>;
}

/** Starts it. */
export async function startTabs(): Promise<Tabs> {
  const profile = mkdtempSync(join(tmpdir(), "hawser-tabs-"));
  const args = [...FLAGS, "--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank"];
  const child = spawn(chromiumPath(), args, { stdio: ["ignore", "ignore", "pipe"] });
  const socket = new WebSocket(await debuggerUrl(child));
  await new Promise((done) => socket.once("open", done));
  const answers = new Map<number, (answer: Answer) => void>();
  const listeners = new Map<string, (method: string, params: Params) => void>();
  let last = 0;
  socket.on("message", (data) => {
    const message = JSON.parse(String(data)) as Answer & {
      method: string;
      params: Params;
      sessionId: string;
    };
    if (message.id === undefined) listeners.get(message.sessionId)?.(message.method, message.params);
    else answers.get(message.id)?.(message);
    if (message.id !== undefined) answers.delete(message.id);
  });
  const send = (method: string, params: Params = {}, sessionId?: string): Promise<Params> =>
    new Promise((resolve, reject) => {
      const id = ++last;
      answers.set(id, ({ result, error }) => {
        if (result === undefined) reject(new Error(`${method}: ${error?.message}`));
        else resolve(result);
      });
      socket.send(JSON.stringify({ id, method, params, sessionId }));
    });

  return {
    async open(url) {
      const { targetId } = (await send("Target.createTarget", { url: "about:blank" })) as {
        targetId: string;
      };
      const { sessionId } = (await send("Target.attachToTarget", { targetId, flatten: true })) as {
        sessionId: string;
      };
      const faults: string[] = [];
      listeners.set(sessionId, (method, params) => {
        if (method === "Runtime.exceptionThrown") faults.push(JSON.stringify(params));
      });
      await send("Runtime.enable", {}, sessionId);
      await send("Page.enable", {}, sessionId);
      const tab: Tab = {
        faults,
        async evaluate(run, ...args) {
          const expression = `(${run})(${args.map((value) => JSON.stringify(value)).join(", ")})`;
          const answer = await send(
            "Runtime.evaluate",
            { expression, awaitPromise: true, returnByValue: true },
            sessionId,
          );
          const { result, exceptionDetails } = answer as {
            result: { value: never };
            exceptionDetails?: unknown;
          };
          if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
          return result.value;
        },
        async until(holds) {
          while (!(await tab.evaluate(holds))) await new Promise((done) => setTimeout(done, 10));
        },
        async goto(to) {
          await send("Page.navigate", { url: to }, sessionId);
          while (
            !(await tab.evaluate((to) => location.href === to && document.readyState === "complete", to))
          )
            await new Promise((done) => setTimeout(done, 10));
        },
        show: async () => void (await send("Target.activateTarget", { targetId })),
        freeze: async (state) => void (await send("Page.setWebLifecycleState", { state }, sessionId)),
        close: async () => void (await send("Target.closeTarget", { targetId })),
      };
      await tab.goto(url);
      return tab;
    },
    async close() {
      const gone = new Promise((done) => child.once("exit", done));
      await send("Browser.close").catch(() => undefined);
      await gone;
      socket.terminate();
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

type Params = Readonly<Record<string, unknown>>;

interface Answer {
  readonly id?: number;
  readonly result?: Params;
  readonly error?: { readonly message: string };
}

/** Chromium says where it listens. */
function debuggerUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    child.stderr?.on("data", (data) => {
      said += String(data);
      const [url] = /ws:\/\/\S+/.exec(said) ?? [];
      if (url !== undefined) resolve(url);
    });
    child.once("exit", (code) => reject(new Error(`chromium ended with ${code}: ${said}`)));
  });
}
