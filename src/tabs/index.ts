export type { Connection, ConnectionEvents, ConnectionState } from "../client/connection.js";
export type { ConnectOptions, ReconnectOptions } from "../client/options.js";
export * from "../index.js";
export { connectTabs, type HeldBy, type TabsConnection, type TabsOptions } from "./connect.js";
export type { HostKind } from "./source.js";
