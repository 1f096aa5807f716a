// The live view alone, of a cluster that runs elsewhere. Environment: URL (ws://127.0.0.1:8080/rpc).
import { Ledger } from "./ledger.js";
import { say, view } from "./view.js";
import { Watcher } from "./watcher.js";

const { URL = "ws://127.0.0.1:8080/rpc" } = process.env;

console.log(`client  connects to ${URL}`);
const watcher = new Watcher(URL, new Ledger(false), (message) => say(`the stream failed: ${message}`));
const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort());
await view(watcher, stopping.signal);
await watcher.close();
