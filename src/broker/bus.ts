/** Whom a message is for: parts of any text, such as `["node", name, "relay"]`. */
export type Address = readonly string[];

/** A message from a node. Its payload may be a part of something larger: who keeps it copies it. */
export interface BusMessage {
  readonly payload: Uint8Array;
  /** The one part in place of {@link REST}; nothing where the listener's address does not end in it. */
  readonly rest: readonly string[];
  /**
   * Answers it; without effect when nobody asked, or when it was answered before.
   *
   * @throws RpcError RESOURCE_EXHAUSTED for a payload that is too large.
   */
  reply(payload: Uint8Array): void;
}

/** As the last part of an address to listen at: one part more, whatever it is. */
export const REST = "*";

/** A place that is listened at. */
export interface Listener {
  /** Resolves when whoever sends from then on is heard. */
  readonly ready: Promise<void>;
  close(): void;
}

/** What {@link Bus.watch} tells: first, at once, of each node that is there; of whether others can be reached, changes only. */
export interface BusEvents {
  /** A node has come, or was there when the watch began. */
  onNode?(node: string): void;
  /** A node has gone: it left, or was not heard of for some time. */
  onNodeGone?(node: string): void;
  /** Whether other nodes can be reached. */
  onUp?(up: boolean): void;
}

/** Something that the registry knows to be on a node. */
export interface Registered {
  readonly node: string;
  readonly id: string;
}

/**
 * Messages between nodes: in order from one node to another, at most once. Payloads must not be changed once they are sent.
 * Addresses may have about 3,500 bytes.
 */
export interface Bus {
  /** This node. */
  readonly node: string;
  /** Other nodes that are alive. */
  readonly nodes: ReadonlySet<string>;
  /** Whether other nodes can be reached now. */
  readonly up: boolean;
  /** Largest payload in bytes. */
  readonly maxPayload: number;
  /** Returns how to stop it. */
  watch(events: BusEvents): () => void;
  /** Hears what is sent to an address, from this node too. */
  listen(address: Address, onMessage: (message: BusMessage) => void): Listener;
  /** @throws RpcError UNAVAILABLE when other nodes cannot be reached now, RESOURCE_EXHAUSTED for a payload that is too large. */
  send(address: Address, payload: Uint8Array): void;
  /**
   * Asks whoever listens, and resolves with the first answer.
   *
   * @throws RpcError UNAVAILABLE with `executed: "no"` at once when nobody listens, with `"unknown"` when other nodes can no longer
   * be reached; DEADLINE_EXCEEDED after the time.
   */
  ask(address: Address, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
  /**
   * Asks all that listen, and resolves with their answers: when as many have come as there are nodes, or after the time.
   *
   * @throws RpcError UNAVAILABLE when other nodes cannot be reached.
   */
  askAll(address: Address, payload: Uint8Array, timeoutMs: number): Promise<readonly Uint8Array[]>;
  /**
   * Says that something is on this node, for as long as the node lives, until {@link Bus.unregister}. Written in the
   * background, and written again when the registry was lost.
   *
   * @param kind such as `"session"` or `"identity"`
   * @param name what it is looked for by
   * @param id which of several it is
   */
  register(kind: string, name: string, id: string): void;
  unregister(kind: string, name: string, id: string): void;
  /**
   * What is registered under a name on nodes that are alive.
   *
   * @throws RpcError UNAVAILABLE when other nodes cannot be reached.
   */
  locate(kind: string, name: string): Promise<readonly Registered[]>;
}
