import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import type { DescService, MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { GetNodeResponseSchema } from "../../gen/hawser/inspect/v1/inspect_pb.js";
import { hex } from "../base/hex.js";
import type { InspectedServer } from "../server/inspection.js";
import { LIMIT_KEYS } from "../server/limits.js";
import { kindOf } from "./call-view.js";

/** Read once: an update of the package while the process runs does not change what runs. */
const VERSION: string = packageVersion();

/** What does not change of a node. */
export function describeNode(
  { sessions, settings }: InspectedServer,
  startedAt: number,
): MessageInitShape<typeof GetNodeResponseSchema> {
  const services = new Set<DescService>([...settings.routes.values()].map(({ method }) => method.parent));
  const limits = LIMIT_KEYS.map((option) => ({ option: option as string, value: settings[option] }));
  limits.push({ option: "outboxBytes", value: settings.session.outboxBytes });
  limits.push({ option: "graceMs", value: settings.graceMs });
  return {
    node: hex(sessions.epoch),
    host: hostname(),
    process: process.pid,
    version: VERSION,
    platform: `Node ${process.versions.node}, ${process.platform} ${process.arch}`,
    startedAt: timestampFromMs(startedAt),
    services: [...services]
      .map(({ typeName, methods }) => ({
        name: typeName,
        methods: methods
          .filter((method) => settings.routes.has(`${typeName}/${method.name}`))
          .map((method) => ({ name: method.name, kind: kindOf(method) })),
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    limits: limits.filter(({ value }) => Number.isFinite(value)),
  };
}

/** The version of the package, whose manifest lies above this file, compiled or not. */
function packageVersion(): string {
  for (const path of ["../../package.json", "../../../package.json"]) {
    try {
      const text = readFileSync(new URL(path, import.meta.url), "utf8");
      return (JSON.parse(text) as { readonly version: string }).version;
    } catch {
      // It is one folder further up.
    }
  }
  return "unknown";
}
