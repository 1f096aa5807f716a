import { randomBytes } from "node:crypto";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type PipeOpen,
  PipeOpenedSchema,
  PipeOpenSchema,
  PipeSchema,
} from "../../../gen/hawser/v1/cluster_pb.js";
import { CloseCode } from "../../base/close.js";
import type { Bus, Listener } from "../../broker/bus.js";
import type { Timers } from "../../driver/timers.js";
import { Pipe, type PipeOwner } from "./pipe.js";

/** Why a node does not take a pipe. */
export interface PipeRefusal {
  /** A close code. */
  readonly refused: number;
  readonly reason: string;
}

/** What a pipe is for. */
export type PipePurpose = NonNullable<MessageInitShape<typeof PipeOpenSchema>["what"]>;

/** A node has this long to answer. */
const ANSWER_MS = 3_000;
/** Nodes at the other ends of pipes are asked this often whether they are there. */
const ALIVE_MS = 1_000;

/** All pipes between this node and others. */
export class Pipes implements PipeOwner {
  readonly bus: Bus;
  readonly #timers: Timers;
  readonly #onOpen: (open: PipeOpen, pipe: Pipe) => PipeRefusal | undefined;
  readonly #pipes = new Map<string, Pipe>();
  readonly #byNode = new Map<string, Set<Pipe>>();
  readonly #listeners: readonly Listener[];
  readonly #stopWatching: () => void;
  readonly #asking = new Set<string>();
  #stopAsking: (() => void) | undefined;

  /** @param onOpen takes a pipe that another node opens, or says why not */
  constructor(bus: Bus, timers: Timers, onOpen: (open: PipeOpen, pipe: Pipe) => PipeRefusal | undefined) {
    this.bus = bus;
    this.#timers = timers;
    this.#onOpen = onOpen;
    this.#listeners = [
      bus.listen(["node", bus.node, "pipe"], ({ payload }) => {
        const message = fromBinary(PipeSchema, payload);
        const pipe = this.#pipes.get(message.id);
        if (pipe !== undefined) pipe.receive(message);
        else if (message.close === undefined) this.#refuse(message.id, message.from);
      }),
      bus.listen(["node", bus.node, "open"], (asked) => asked.reply(this.#opened(asked.payload))),
      bus.listen(["node", bus.node, "alive"], (asked) => asked.reply(new Uint8Array(0))),
    ];
    this.#stopWatching = bus.watch({
      onNodeGone: (node) => this.#breakAll(node, "the node that has the session is gone"),
      onUp: (up) => {
        if (up) return;
        for (const node of [...this.#byNode.keys()]) this.#breakAll(node, "other nodes cannot be reached");
      },
    });
  }

  now(): number {
    return this.#timers.clock();
  }

  /** Number of pipes. */
  get size(): number {
    return this.#pipes.size;
  }

  /**
   * Opens a pipe to a node.
   *
   * @throws RpcError UNAVAILABLE when the node is not there, DEADLINE_EXCEEDED when it does not answer.
   */
  async open(node: string, what: PipePurpose): Promise<Pipe | PipeRefusal> {
    const id = randomBytes(12).toString("base64url");
    const pipe = new Pipe(this, id, node);
    // What the other end says at once must find it.
    this.#add(pipe);
    const open = create(PipeOpenSchema, { id, from: this.bus.node, what });
    try {
      const answer = await this.bus.ask(["node", node, "open"], toBinary(PipeOpenSchema, open), ANSWER_MS);
      const { refused, reason } = fromBinary(PipeOpenedSchema, answer);
      if (refused === 0) return pipe;
      this.onClosed(pipe);
      return { refused, reason };
    } catch (error) {
      this.onClosed(pipe);
      // It may have opened its end all the same, and be late with the answer.
      this.#refuse(id, node);
      throw error;
    }
  }

  onClosed(pipe: Pipe): void {
    this.#pipes.delete(pipe.id);
    const pipes = this.#byNode.get(pipe.node);
    pipes?.delete(pipe);
    if (pipes?.size === 0) this.#byNode.delete(pipe.node);
    if (this.#byNode.size > 0) return;
    this.#stopAsking?.();
    this.#stopAsking = undefined;
  }

  /** Breaks all pipes, and takes no more. */
  close(code: number, reason: string): void {
    for (const pipe of [...this.#pipes.values()]) pipe.close(code, reason);
    for (const listener of this.#listeners) listener.close();
    this.#stopWatching();
    this.#stopAsking?.();
  }

  #opened(payload: Uint8Array): Uint8Array {
    const open = fromBinary(PipeOpenSchema, payload);
    const pipe = new Pipe(this, open.id, open.from);
    this.#add(pipe);
    let refusal: PipeRefusal | undefined;
    try {
      refusal = this.#onOpen(open, pipe);
    } catch (error) {
      this.onClosed(pipe);
      throw error;
    }
    if (refusal !== undefined) this.onClosed(pipe);
    return toBinary(PipeOpenedSchema, create(PipeOpenedSchema, refusal ?? {}));
  }

  /** This end of the pipe is gone, and the other one was not told. */
  #refuse(id: string, node: string): void {
    const close = { code: CloseCode.restart, reason: "the other node has lost the link" };
    const message = create(PipeSchema, { id, from: this.bus.node, close });
    try {
      this.bus.send(["node", node, "pipe"], toBinary(PipeSchema, message));
    } catch {
      // It finds out by itself that nobody acknowledges.
    }
  }

  #add(pipe: Pipe): void {
    this.#pipes.set(pipe.id, pipe);
    let pipes = this.#byNode.get(pipe.node);
    if (pipes === undefined) {
      pipes = new Set();
      this.#byNode.set(pipe.node, pipes);
    }
    pipes.add(pipe);
    if (this.#stopAsking === undefined) this.#askSoon();
  }

  /** The liveness of the bus takes many seconds; who waits behind a pipe is to know sooner. */
  #askSoon(): void {
    this.#stopAsking = this.#timers.after(ALIVE_MS, () => {
      this.#stopAsking = undefined;
      const now = this.now();
      for (const pipe of [...this.#pipes.values()]) pipe.check(now);
      for (const node of this.#byNode.keys()) void this.#ask(node);
      if (this.#pipes.size > 0) this.#askSoon();
    });
  }

  async #ask(node: string): Promise<void> {
    if (this.#asking.has(node)) return;
    this.#asking.add(node);
    try {
      await this.bus.ask(["node", node, "alive"], new Uint8Array(0), ANSWER_MS);
    } catch {
      this.#breakAll(node, "the node that has the session does not answer");
    } finally {
      this.#asking.delete(node);
    }
  }

  #breakAll(node: string, reason: string): void {
    for (const pipe of [...(this.#byNode.get(node) ?? [])]) pipe.broken(reason);
  }
}
