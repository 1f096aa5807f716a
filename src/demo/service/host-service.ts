import { HostService } from "../../../gen/hawser/demo/v1/host_pb.js";
import type { Router } from "../../index.js";
import type { Sampler } from "../host/sampler.js";
import { tail } from "./tail.js";
import { receiveUpload } from "./upload.js";
import { watch } from "./watch.js";

/** What the service answers from. */
export interface HostServiceOptions {
  readonly sampler: Sampler;
  /** Files that Tail may follow, by the name that clients use. */
  readonly logs: ReadonlyMap<string, string>;
}

/** Adds the host service to a server's routes. */
export function addHostService(router: Router, { sampler, logs }: HostServiceOptions): void {
  router.service(HostService, {
    snapshot: async (request) => ({ host: sampler.host, reading: await sampler.read(request.maxProcesses) }),
    watch: (request, context) => watch(request, context.signal, sampler),
    upload: receiveUpload,
    tail: (requests, context) => tail(requests, context.signal, logs),
  });
}
