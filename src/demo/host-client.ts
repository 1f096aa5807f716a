import type { HostService } from "../../gen/hawser/demo/v1/host_pb.js";
import type { Client } from "../index.js";

/** The generated client of the host service: the account and the page use the same one. */
export type HostClient = Client<typeof HostService>;
