import { createBenchServiceClient } from "../../../gen/hawser/bench/v1/bench_hawser.js";
import { connect } from "../../client/index.js";
import type { NodeClient } from "../nodes-client.js";

/** Connects to a node of `hawser-node.ts`, and is told of what is published. */
export async function open(port: number, onMessage: (body: Uint8Array) => void): Promise<NodeClient> {
  const connection = connect(`ws://127.0.0.1:${port}/rpc`);
  await connection.ready();
  const client = createBenchServiceClient(connection);
  (async () => {
    for await (const { body } of client.watch({}, { topic: {} })) onMessage(body);
  })().catch(() => undefined);
  return { publish: (body) => client.echo({ body }), close: () => connection.close() };
}
