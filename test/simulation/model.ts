// What is served and called, and the account of it: which handlers ran, which effects were kept, what callers were told.
import { CounterService } from "../../gen/hawser/test/v1/counter_hawser.js";
import { EchoService } from "../../gen/hawser/test/v1/echo_hawser.js";
import {
  type Client,
  Code,
  createClient,
  type HandlerContext,
  type Router,
  RpcError,
  resumable,
  type Transport,
} from "../../src/index.js";
import { Broken } from "./invariants.js";
import type { Action, Method } from "./scenario.js";

export type CallAction = Extract<Action, { kind: "call" }>;

/** A server process, or a client: whatever handlers run in. What is dead has no effects. */
export interface Incarnation {
  readonly name: string;
  alive: boolean;
}

/** What the model needs of the world around it. */
export interface Surroundings {
  /** Calls a function after a delay in virtual milliseconds. */
  after(ms: number, task: () => void): void;
  random(): number;
  log(who: string, what: string): void;
  /** Effects and outcomes of keys are kept together. */
  readonly transactional: boolean;
}

/** How a call ended. */
export type Outcome = { readonly ok: true } | { readonly ok: false; readonly error: RpcError };

/** All that is known of one call. */
export interface Account {
  readonly tag: string;
  readonly action: CallAction;
  /** Times that the handler began. */
  ran: number;
  /** Values of the effects that were kept. */
  readonly effects: bigint[];
  readonly outcomes: Outcome[];
}

/** Statuses that broken networks and crashed servers may lead to. */
const EXPECTED: readonly Code[] = [
  Code.Unavailable,
  Code.Canceled,
  Code.DeadlineExceeded,
  Code.ResourceExhausted,
];

/** Methods that are attempted again until they end well. */
export const HEALING: readonly Method[] = ["increment", "read", "watch", "sum"];

/** The services of one run, and the accounts of its calls. */
export class Model {
  readonly accounts: Map<string, Account> = new Map();
  readonly #around: Surroundings;
  #value = 0n;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  // ---- handlers ------------------------------------------------------------------------------------------------

  /** Serves everything, in a process. */
  serve(router: Router, process: Incarnation): Router {
    const begin = (context: HandlerContext) => this.#begin(context, process);
    return this.serveEcho(router, process).service(CounterService, {
      increment: async (_, context) => {
        const { account, work } = begin(context);
        await work();
        const value = ++this.#value;
        // Throws when another attempt has taken over, and nothing is kept then.
        if (this.#around.transactional) void context.idempotency?.complete({ value });
        account.effects.push(value);
        return { value };
      },
      add: async (_, context) => {
        const { account, work } = begin(context);
        await work();
        const value = ++this.#value;
        account.effects.push(value);
        return { value };
      },
      read: async (_, context) => {
        await begin(context).work();
        return { value: this.#value };
      },
      async *watch({ count }, context) {
        const { work } = begin(context);
        for (let number = Number(context.resumeToken ?? 0) + 1; number <= count; number++) {
          await work();
          yield resumable({ number }, String(number));
        }
      },
      async sum(requests, context) {
        const { work } = begin(context);
        let sum = 0n;
        let last = 0;
        for await (const { number } of requests) {
          inOrder("sum", number, last);
          last = number;
          sum += BigInt(number);
          await work();
        }
        return { sum };
      },
    });
  }

  /** Serves what clients serve too. */
  serveEcho(router: Router, process: Incarnation): Router {
    const begin = (context: HandlerContext) => this.#begin(context, process);
    return router.service(EchoService, {
      echo: async ({ id, name, body }, context) => {
        await begin(context).work();
        return { id, name, body };
      },
      async *repeat({ body, count }, context) {
        const { work } = begin(context);
        for (let number = 1; number <= count; number++) {
          await work();
          yield { number, body };
        }
      },
      async collect(requests, context) {
        const { work } = begin(context);
        const numbers: number[] = [];
        let bytes = 0n;
        for await (const { number, body } of requests) {
          inOrder("collect", number, numbers.length);
          numbers.push(number);
          bytes += BigInt(body.length);
          await work();
        }
        return { numbers, bytes };
      },
      async *converse(requests, context) {
        const { work } = begin(context);
        for await (const { number, body } of requests) {
          await work();
          yield { number, body };
        }
      },
    });
  }

  #begin(context: HandlerContext, process: Incarnation) {
    const tag = context.requestHeader.get("tag") ?? "";
    const account = this.accounts.get(tag);
    if (account === undefined) throw new Broken(1, `a handler runs for a call that nobody made: ${tag}`);
    account.ran++;
    this.#around.log(process.name, `runs ${tag}`);
    const work = async () => {
      const { workMs } = account.action;
      if (workMs > 0 && this.#around.random() < 0.7) await this.#pause(workMs, process);
      // A handler of a process that has died never goes on.
      if (!process.alive) await new Promise(() => undefined);
    };
    return { account, work };
  }

  #pause(ms: number, process: Incarnation): Promise<void> {
    return new Promise((resolve) => {
      this.#around.after(this.#around.random() * ms, () => {
        if (process.alive) resolve();
      });
    });
  }

  // ---- calls ---------------------------------------------------------------------------------------------------

  /** Makes a call, and notes its outcome. `transport` as it is when the call is made. */
  async call(tag: string, action: CallAction, transport: Transport, caller: Incarnation): Promise<void> {
    const account: Account = { tag, action, ran: 0, effects: [], outcomes: [] };
    this.accounts.set(tag, account);
    this.#around.log(caller.name, `calls ${tag}`);
    let outcome: Outcome;
    try {
      await this.#make(account, transport, caller);
      outcome = { ok: true };
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      outcome = { ok: false, error };
    }
    account.outcomes.push(outcome);
    this.#around.log(
      caller.name,
      `${tag}: ${outcome.ok ? "ok" : `${outcome.error.message} (${outcome.error.executed})`}`,
    );
  }

  async #make(account: Account, transport: Transport, caller: Incarnation): Promise<void> {
    const { tag, action } = account;
    const { count, size, timeoutMs, cancelMs, slowMs } = action;
    const counter: Client<typeof CounterService> = createClient(CounterService, transport);
    const echo: Client<typeof EchoService> = createClient(EchoService, transport);
    const body = new Uint8Array(size).fill(tag.length + size);
    const stop = new AbortController();
    if (cancelMs > 0) this.#around.after(cancelMs, () => stop.abort());
    const options = {
      headers: { tag },
      ...(timeoutMs > 0 ? { timeoutMs } : {}),
      ...(cancelMs > 0 ? { signal: stop.signal } : {}),
    };
    const pause = () => (slowMs > 0 ? this.#pause(slowMs, caller) : undefined);
    const read = async (messages: AsyncIterable<{ number: number; body?: Uint8Array }>) => {
      let last = 0;
      for await (const message of messages) {
        inOrder(tag, message.number, last);
        last = message.number;
        if (message.body !== undefined && message.body.length !== size)
          throw new Broken(1, `${tag}: another message`);
        await pause();
      }
      if (last !== count) throw new Broken(1, `${tag} ended well after ${last} of ${count} messages`);
    };
    async function* requests() {
      for (let number = 1; number <= count; number++) {
        yield { number, body };
        await pause();
      }
    }
    async function* numbers() {
      for await (const { number } of requests()) yield { number };
    }
    switch (action.method) {
      case "increment":
      case "add": {
        const { value } = await counter[action.method]({ number: BigInt(count) }, options);
        if (!account.effects.includes(value)) {
          throw new Broken(3, `${tag} was answered ${value}, and kept were [${account.effects}]`);
        }
        return;
      }
      case "read":
        await counter.read({}, options);
        return;
      case "watch":
        return read(counter.watch({ count }, options));
      case "sum": {
        const { sum } = await counter.sum(numbers(), options);
        const due = BigInt((count * (count + 1)) / 2);
        if (sum !== due) throw new Broken(1, `${tag}: the sum is ${sum}, not ${due}`);
        return;
      }
      case "repeat":
        return read(echo.repeat({ body, count }, options));
      case "collect": {
        const { numbers: seen, bytes } = await echo.collect(requests(), options);
        if (seen.length !== count || bytes !== BigInt(count * size)) throw new Broken(1, `${tag}: ${seen}`);
        return;
      }
      case "converse":
        return read(echo.converse(requests(), options));
      case "call": {
        const response = await echo.echo({ id: 1n, name: tag, body }, options);
        if (response.name !== tag || response.body.length !== size)
          throw new Broken(1, `${tag}: another answer`);
        return;
      }
    }
  }

  // ---- the account ---------------------------------------------------------------------------------------------

  /**
   * Checks what must hold of every call by now, settled or not.
   *
   * @param stores how many stores of keys there were, one after the other; a key is kept by one
   */
  check(account: Account, stores: number): void {
    const { tag, action, ran, effects, outcomes } = account;
    if (outcomes.length > 1) throw new Broken(2, `${tag} has ${outcomes.length} outcomes`);
    if (!HEALING.includes(action.method) && ran > 1)
      throw new Broken(1, `the handler of ${tag} ran ${ran} times`);
    const bound = action.method === "increment" ? stores : 1;
    if (effects.length > bound) throw new Broken(3, `${tag} took effect ${effects.length} times`);
    const [outcome] = outcomes;
    if (outcome === undefined) return;
    if (outcome.ok) {
      if (ran === 0) throw new Broken(2, `${tag} ended well, and its handler never ran`);
      return;
    }
    const { code, executed } = outcome.error;
    if (!EXPECTED.includes(code)) throw new Broken(2, `${tag} ended with ${outcome.error}`);
    if (executed === "no" && ran > 0)
      throw new Broken(2, `${tag} says that its handler did not run, which it did`);
    if (executed === "yes" && ran === 0)
      throw new Broken(2, `${tag} says that its handler ran, which it did not`);
  }
}

function inOrder(what: string, number: number, last: number): void {
  if (number !== last + 1) throw new Broken(1, `${what}: message ${number} after ${last}`);
}
