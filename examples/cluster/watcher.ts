// A client that reads everything, whatever becomes of the nodes.
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, type Connection, connect, createClient } from "hawser/client";
import { ClusterService, type LocateResponse } from "../../gen/hawser/cluster/v1/cluster_pb.js";
import { KEPT } from "./counts.js";
import type { Ledger } from "./ledger.js";

/** How long an answer to where the client is may take. */
const LOCATE_MS = 900;

/** Reads what all nodes count. */
export class Watcher {
  readonly ledger: Ledger;
  /** How often the session went on over another link. */
  resumed = 0;
  /** How often a new session began: its node was gone. */
  lost = 0;
  readonly #connection: Connection;
  readonly #client: Client<typeof ClusterService>;
  readonly #onFailure: (message: string) => void;
  readonly #leaving = new AbortController();
  #position: string | undefined;

  /** @param onFailure The stream has ended; it is begun again behind what was read last. */
  constructor(url: string, ledger: Ledger, onFailure: (message: string) => void) {
    this.ledger = ledger;
    this.#onFailure = onFailure;
    this.#connection = connect(url, {
      credentials: "watcher",
      reconnect: { initialDelayMs: 100, maxDelayMs: 1_000 },
    });
    this.#connection.on("resumed", () => this.resumed++);
    this.#connection.on("lost", () => this.lost++);
    this.#client = createClient(ClusterService, this.#connection);
    void this.#read();
  }

  /** Which nodes have the session and the link; `undefined` when that is not known within a second. */
  async locate(): Promise<LocateResponse | undefined> {
    try {
      return await this.#client.locate({}, { timeoutMs: LOCATE_MS });
    } catch {
      return undefined;
    }
  }

  async close(): Promise<void> {
    this.#leaving.abort();
    await this.#connection.close();
  }

  async #read(): Promise<void> {
    const { signal } = this.#leaving;
    while (!signal.aborted) {
      const topic = {
        ...(this.#position === undefined ? { last: KEPT } : { after: this.#position }),
        onPosition: (position: string) => {
          this.#position = position;
        },
      };
      try {
        // It goes on by itself in a new session; it ends when that has failed several times in a row.
        for await (const message of this.#client.watch({}, { topic, signal })) this.ledger.arrived(message);
      } catch (error) {
        if (signal.aborted) return;
        this.#onFailure((error as Error).message);
        await sleep(1_000);
      }
    }
  }
}
