import { createBenchServiceClient } from "../../../gen/hawser/bench/v1/bench_hawser.js";
import { connect, type TopicGap } from "../../client/index.js";
import type { NodeClient } from "../nodes-client.js";

/** Connects to a node of `hawser-node.ts`, and is told of what is published. */
export async function open(port: number, onMessage: (body: Uint8Array) => void): Promise<NodeClient> {
  const connection = connect(`ws://127.0.0.1:${port}/rpc`);
  await connection.ready();
  const client = createBenchServiceClient(connection);
  let isClosed = false;
  const onGap = ({ reason }: TopicGap) => {
    throw new Error(`publications are missing (${reason})`);
  };
  (async () => {
    for await (const { body } of client.watch({}, { topic: { onGap } })) onMessage(body);
  })().catch((error: unknown) => {
    // Nobody would know why nothing comes.
    if (!isClosed) throw error;
  });
  return {
    publish: (body) => client.echo({ body }),
    close() {
      isClosed = true;
      return connection.close();
    },
  };
}
