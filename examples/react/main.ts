// node --import tsx examples/react/main.ts: builds the page and serves it. Environment: PORT (8080).
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { startWeb } from "./web.js";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

await build({ configFile: here("vite.config.ts"), logLevel: "warn" });
const web = await startWeb(here("dist"), Number(process.env["PORT"] ?? 8080));
console.log(`The poll is at ${web.url}.`);

process.once("SIGINT", async () => {
  await web.close();
});
