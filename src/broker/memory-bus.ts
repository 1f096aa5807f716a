import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import {
  type Address,
  type Bus,
  type BusEvents,
  type BusMessage,
  type Listener,
  REST,
  type Registered,
} from "./bus.js";
import {
  checkSize,
  keyOf,
  type MemoryBusesInit,
  type MemoryListener,
  MemoryMessage,
  MemoryNetwork,
  type NetworkMember,
  restKeyOf,
  unavailable,
} from "./memory-network.js";

/** The bus of one node in memory. */
export interface MemoryBus extends Bus {
  /** Leaves; the others know at once. */
  close(): void;
  /** Ends as by SIGKILL: from now on it hears and says nothing, and the others notice after a time. */
  crash(): void;
  /** Cuts it off from all others, as when it loses its connection: `up` is false, and the others notice after a time. */
  partition(): void;
  /** The end of {@link MemoryBus.partition}. */
  heal(): void;
}

/** Several nodes in one process. */
export interface MemoryBuses {
  /**
   * Adds a node.
   *
   * @throws Error when one of this name is there.
   */
  join(node: string): MemoryBus;
}

/** Buses between nodes that are all in this process: for tests. Payloads are handed on as they are, not copied. */
export function createMemoryBuses(init: MemoryBusesInit): MemoryBuses {
  const network = new MemoryNetwork(init);
  return { join: (node) => new Member(network, node) };
}

/** Somebody who waits for answers. */
interface Asking {
  onAnswer(payload: Uint8Array): void;
  /** Whether there are enough may have changed. */
  look(): void;
  fail(reason: RpcError): void;
}

class Member implements MemoryBus, NetworkMember {
  readonly node: string;
  readonly listeners = new Map<string, Set<MemoryListener>>();
  readonly nodes = new Set<string>();
  readonly #network: MemoryNetwork;
  readonly #watchers = new Set<BusEvents>();
  /** By kind and name. */
  readonly registered = new Map<string, Set<string>>();
  readonly #asking = new Set<Asking>();
  #state: "up" | "cut" | "over" = "up";
  #stopWaiting: (() => void) | undefined;

  constructor(network: MemoryNetwork, node: string) {
    if (network.members.has(node)) throw new Error(`node ${node} has joined before`);
    this.#network = network;
    this.node = node;
    network.members.set(node, this);
    for (const other of network.members.values()) {
      if (other === this || !other.up) continue;
      this.nodes.add(other.node);
      other.came(node);
    }
  }

  get up(): boolean {
    return this.#state === "up";
  }

  get maxPayload(): number {
    return this.#network.maxPayload;
  }

  watch(events: BusEvents): () => void {
    this.#watchers.add(events);
    for (const node of this.nodes) events.onNode?.(node);
    return () => {
      this.#watchers.delete(events);
    };
  }

  listen(address: Address, onMessage: (message: BusMessage) => void): Listener {
    const before = address.slice(0, -1);
    const isRest = address.at(-1) === REST;
    const key = isRest ? restKeyOf(before) : keyOf(address);
    const listener = {
      onMessage,
      restAt: isRest ? before.length : address.length,
      closed: false,
    };
    let listeners = this.listeners.get(key);
    if (listeners === undefined) {
      listeners = new Set();
      this.listeners.set(key, listeners);
    }
    listeners.add(listener);
    const close = () => {
      listener.closed = true;
      listeners.delete(listener);
      if (listeners.size === 0 && this.listeners.get(key) === listeners) this.listeners.delete(key);
    };
    return { ready: Promise.resolve(), close };
  }

  send(address: Address, payload: Uint8Array): void {
    this.#check(payload);
    this.#deliver(address, payload, undefined);
  }

  ask(address: Address, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#check(payload);
      const late = () => asking.fail(new RpcError(`no answer within ${timeoutMs} ms`, Code.DeadlineExceeded));
      const over = this.#wait(timeoutMs, late);
      const asking: Asking = {
        onAnswer: (answer) => {
          over(asking);
          resolve(answer);
        },
        look: () => {},
        fail: (reason) => {
          over(asking);
          reject(reason);
        },
      };
      this.#asking.add(asking);
      const heard = this.#deliver(address, payload, asking);
      if (!heard) asking.fail(unavailable(`nobody listens at ${address.join("/")}`));
    });
  }

  askAll(address: Address, payload: Uint8Array, timeoutMs: number): Promise<readonly Uint8Array[]> {
    return new Promise((resolve, reject) => {
      this.#check(payload);
      const answers: Uint8Array[] = [];
      const end = () => {
        over(asking);
        resolve(answers);
      };
      const over = this.#wait(timeoutMs, end);
      const asking: Asking = {
        onAnswer: (answer) => {
          answers.push(answer);
          asking.look();
        },
        look: () => {
          if (answers.length > this.nodes.size) end();
        },
        fail: (reason) => {
          over(asking);
          reject(reason);
        },
      };
      this.#asking.add(asking);
      if (!this.#deliver(address, payload, asking)) end();
    });
  }

  register(kind: string, name: string, id: string): void {
    const key = keyOf([kind, name]);
    const ids = this.registered.get(key) ?? new Set();
    this.registered.set(key, ids.add(id));
  }

  unregister(kind: string, name: string, id: string): void {
    const key = keyOf([kind, name]);
    const ids = this.registered.get(key);
    ids?.delete(id);
    if (ids?.size === 0) this.registered.delete(key);
  }

  async locate(kind: string, name: string): Promise<readonly Registered[]> {
    if (!this.up) throw unavailable("other nodes cannot be reached");
    const key = keyOf([kind, name]);
    const found: Registered[] = [];
    for (const node of [this.node, ...this.nodes]) {
      for (const id of this.#network.members.get(node)?.registered.get(key) ?? []) found.push({ node, id });
    }
    return found;
  }

  close(): void {
    if (this.#state === "over") return;
    const wasUp = this.up;
    this.#end();
    for (const other of this.#network.members.values()) {
      // Who is cut off cannot say farewell.
      if (wasUp && other.up) other.went(this.node);
    }
    if (!wasUp) this.#missed();
  }

  crash(): void {
    if (this.#state === "over") return;
    this.#end();
    this.#missed();
  }

  partition(): void {
    if (this.#state !== "up") return;
    this.#state = "cut";
    for (const asking of [...this.#asking])
      asking.fail(unavailable("other nodes cannot be reached", "unknown"));
    this.#tell((events) => events.onUp?.(false));
    this.#missed();
  }

  heal(): void {
    if (this.#state !== "cut") return;
    this.#state = "up";
    this.#stopWaiting?.();
    this.#tell((events) => events.onUp?.(true));
    for (const other of this.#network.members.values()) {
      if (other === this || !other.up) continue;
      other.came(this.node);
      this.came(other.node);
    }
    // Whoever went meanwhile has not been heard, and is waited for like anybody else.
    this.#stopWaiting = this.#network.after(this.#network.goneAfterMs, () => {
      for (const node of this.nodes) {
        if (this.#network.members.get(node)?.up !== true) this.went(node);
      }
    });
  }

  #end(): void {
    this.#state = "over";
    this.#stopWaiting?.();
    this.#network.members.delete(this.node);
    this.listeners.clear();
    this.#watchers.clear();
    for (const asking of [...this.#asking]) asking.fail(unavailable("the bus was closed", "unknown"));
  }

  /** The others notice in a while that it is not there. */
  #missed(): void {
    this.#stopWaiting?.();
    this.#stopWaiting = this.#network.after(this.#network.goneAfterMs, () => {
      if (this.up) return;
      for (const other of this.#network.members.values()) {
        if (other !== this && other.up) other.went(this.node);
      }
    });
  }

  came(node: string): void {
    this.#network.soon(() => {
      if (!this.up || this.nodes.has(node) || this.#network.members.get(node)?.up !== true) return;
      this.nodes.add(node);
      this.#tell((events) => events.onNode?.(node));
    });
  }

  went(node: string): void {
    this.#network.soon(() => {
      if (!this.up || !this.nodes.delete(node)) return;
      this.#tell((events) => events.onNodeGone?.(node));
      for (const asking of [...this.#asking]) asking.look();
    });
  }

  #tell(what: (events: BusEvents) => void): void {
    for (const events of [...this.#watchers]) what(events);
  }

  /** Waits for answers for so long; gives back how to end that. */
  #wait(timeoutMs: number, onTimeout: () => void): (asking: Asking) => void {
    const cancel = this.#network.after(timeoutMs, onTimeout);
    return (asking) => {
      cancel();
      this.#asking.delete(asking);
    };
  }

  #check(payload: Uint8Array): void {
    if (!this.up) throw unavailable("other nodes cannot be reached");
    checkSize(payload, this.maxPayload);
  }

  /** Whether anybody listens. */
  #deliver(address: Address, payload: Uint8Array, asking: Asking | undefined): boolean {
    let heard = false;
    for (const listener of this.#network.listeners(address)) {
      heard = true;
      this.#network.soon(() => {
        if (listener.closed) return;
        const message = new MemoryMessage(payload, address.slice(listener.restAt), (answer) => {
          checkSize(answer, this.maxPayload);
          this.#network.soon(() => {
            if (asking !== undefined && this.#asking.has(asking)) asking.onAnswer(answer);
          });
        });
        listener.onMessage(message);
      });
    }
    return heard;
  }
}
