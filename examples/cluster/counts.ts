// The topic that all nodes publish to, and the service that gives it out.
import { hostname } from "node:os";
import { defineTopic, type Router, type Topic } from "hawser/server";
import { ClusterService, WatchResponseSchema } from "../../gen/hawser/cluster/v1/cluster_pb.js";

/** So many publications are kept, for those who come back and those who come late. */
export const KEPT = 10_000;

/** One topic for all nodes: history makes of it one sequence, which is the same wherever it is read. */
export const Counts: () => Topic<typeof WatchResponseSchema> = defineTopic({
  name: "counts",
  schema: WatchResponseSchema,
  history: { size: KEPT, ttlMs: 600_000 },
});

/** How this node is called. */
export const NODE: string = process.env["NODE_NAME"] ?? hostname();

/** What `authenticate` notes down at the node that a link comes to; it goes along when the link is passed on. */
export interface LinkClaims {
  readonly linkNode: string;
}

export function routes(router: Router): void {
  router.service(ClusterService, {
    watch: () => Counts(),
    locate: (_, { session }) => ({
      sessionNode: NODE,
      linkNode: (session.identity?.claims as LinkClaims | undefined)?.linkNode ?? "",
    }),
  });
}
