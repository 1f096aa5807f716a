import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import { expect, it, onTestFinished } from "vitest";
import { natsClusterReady, startNats, startNatsCluster } from "../support/nats.js";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A bucket on a server, open until the test is over. */
async function bucketAt(url: string, replicas: number) {
  const connection = await connect({ servers: url, reconnect: false });
  onTestFinished(() => connection.close());
  return new Kvm(connection).create("test", { replicas, allow_direct: false });
}

it("keeps a key over a restart on the same port, is paused, and is killed", async () => {
  await using server = await startNats({ config: "max_payload: 2MB" });
  const { url, pid } = server;
  await (await bucketAt(url, 1)).put("key", "value");
  await server.stop();
  await expect(connect({ servers: url, reconnect: false })).rejects.toThrow();
  await server.restart();
  expect(server.url).toBe(url);
  expect(server.pid).not.toBe(pid);
  const bucket = await bucketAt(url, 1);
  server.pause();
  await sleep(50);
  let answered = false;
  const answer = bucket.get("key").finally(() => {
    answered = true;
  });
  await sleep(100);
  expect(answered).toBe(false);
  server.resume();
  expect((await answer)?.string()).toBe("value");
  await server.kill();
  await expect(connect({ servers: url, reconnect: false })).rejects.toThrow();
});

it("stores nothing when it shall not", async () => {
  await using server = await startNats({ jetstream: false });
  await expect(bucketAt(server.url, 1)).rejects.toThrow(/jetstream is not enabled/);
});

it("stores on all nodes of a cluster, each of which may be gone for a while", async () => {
  const nodes = await startNatsCluster();
  onTestFinished(async () => void (await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()))));
  await (await bucketAt(nodes[0]!.url, 3)).put("key", "value");
  expect((await (await bucketAt(nodes[1]!.url, 3)).get("key"))?.string()).toBe("value");
  await nodes[2]!.kill();
  await nodes[2]!.restart();
  await natsClusterReady(nodes);
});
