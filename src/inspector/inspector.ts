import type { IncomingMessage, ServerResponse } from "node:http";
import { InspectService } from "../../gen/hawser/inspect/v1/inspect_pb.js";
import type { InspectedServer, Inspection, ServerInspector } from "../server/inspection.js";
import { type InspectorOptions, resolveInspectorOptions } from "./options.js";
import { Recorder } from "./recorder.js";
import { Sampler } from "./sampler.js";
import { type Inspected, inspectRoutes } from "./service.js";
import { Web } from "./web.js";

/**
 * A page, and the service `hawser.inspect.v1.InspectService` behind it, that show what a server does: connections, calls,
 * topics and rates, and a form to make calls. For the option `inspector` of `createServer`; one for each server. It changes nothing.
 *
 * @example
 * createServer({
 *   routes,
 *   authenticate,
 *   inspector: inspector({ allow: (identity) => admins.has(identity.id) }),
 * });
 *
 * @throws TypeError, RangeError or Error that names the option which is wrong.
 */
export function inspector(options: InspectorOptions): ServerInspector {
  const settings = resolveInspectorOptions(options);
  const clock = () => performance.now();
  const recorder = new Recorder(InspectService.typeName, settings.calls, clock, Date.now);
  let inspected: Inspected | undefined;
  let web: Web | undefined;
  let rpcPath = settings.rpcPath;
  const state = (): Inspected => {
    if (inspected === undefined) throw new Error("the inspector has no server; give it to createServer()");
    return inspected;
  };
  const inspection: Inspection = {
    observer: recorder,
    routes: inspectRoutes(settings, recorder, state, clock),
    needsIdentity: settings.allow !== "loopback",
    start(server: InspectedServer) {
      if (inspected !== undefined) throw new Error("this inspector has a server already; make one for each");
      const sampler = new Sampler(server, recorder, settings.samples, clock);
      inspected = { server, sampler, startedAt: Date.now() };
      web = new Web({
        path: settings.path,
        checkSource: server.settings.checkSource,
        rpcPath: () => rpcPath,
        onError: (error) => server.settings.logger.error("hawser: the inspector's page failed:", error),
      });
    },
    serving(path: string) {
      rpcPath ??= path;
    },
    answer: (request: IncomingMessage, response: ServerResponse) => web?.answer(request, response) ?? false,
    close: () => inspected?.sampler.close(),
  };
  return inspection;
}
