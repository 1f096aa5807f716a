import type { DescMessage, DescMethodStreaming, DescMethodUnary, MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "../../base/code.js";
import { RpcError } from "../../base/error.js";
import type { CallOptions, StreamResponse, Transport, UnaryResponse } from "../../rpc/transport.js";
import type { Sessions } from "../sessions.js";
import type { Cluster, Target } from "./cluster.js";

/** Makes calls to a client, whichever node it is connected to at the time of the call. */
export class RemotePeer implements Transport {
  readonly #target: Target;
  readonly #sessions: Sessions;
  readonly #cluster: () => Cluster | undefined;

  constructor(target: Target, sessions: Sessions, cluster: () => Cluster | undefined) {
    this.#target = target;
    this.#sessions = sessions;
    this.#cluster = cluster;
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    input: MessageInitShape<I>,
    options: CallOptions | undefined,
  ): Promise<UnaryResponse<I, O>> {
    const [transport, left] = await this.#find(options);
    return transport.unary(method, input, left);
  }

  async stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    input: AsyncIterable<MessageInitShape<I>>,
    options: CallOptions | undefined,
  ): Promise<StreamResponse<I, O>> {
    const [transport, left] = await this.#find(options);
    return transport.stream(method, input, left);
  }

  /** Where the client is, and what is left of the call's time. */
  async #find(options: CallOptions | undefined): Promise<readonly [Transport, CallOptions | undefined]> {
    const local = this.#sessions.findFor(this.#target);
    if (local !== undefined) return [local.peer, options];
    const cluster = this.#cluster();
    if (cluster === undefined) throw this.#notConnected();
    const timeoutMs = options?.timeoutMs;
    if (timeoutMs === undefined) return [await this.#remote(cluster), options];
    const { timers } = this.#sessions;
    const start = timers.clock();
    let cancel = () => undefined as unknown;
    const late = new Promise<never>((_, reject) => {
      cancel = timers.after(timeoutMs, () => {
        const text = "the deadline passed before the client's node was found";
        reject(new RpcError(text, Code.DeadlineExceeded, { executed: "no" }));
      });
    });
    try {
      const transport = await Promise.race([this.#remote(cluster), late]);
      return [transport, { ...options, timeoutMs: timeoutMs - (timers.clock() - start) }];
    } finally {
      cancel();
    }
  }

  async #remote(cluster: Cluster): Promise<Transport> {
    for (const [node, sessions] of await cluster.locate(this.#target)) {
      for (const session of sessions) {
        try {
          return await cluster.bridges.to(node, session);
        } catch (error) {
          // What the registry says may be a moment old; somebody with several sessions may be reached over another.
          if (RpcError.from(error).executed !== "no") throw error;
        }
      }
    }
    throw this.#notConnected();
  }

  #notConnected(): RpcError {
    const target = this.#target;
    const who = "session" in target ? `session ${target.session}` : `identity ${target.identity}`;
    return new RpcError(`${who} is not connected to any node`, Code.Unavailable, { executed: "no" });
  }
}
