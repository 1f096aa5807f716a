import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig, type UserConfig } from "vite";

const source = (path: string) => fileURLToPath(new URL(`../../src/${path}`, import.meta.url));

const config: UserConfig = defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  plugins: [react()],
  // `npm run dev` of an application of yours: pages from Vite, the WebSocket from the server.
  server: { proxy: { "/rpc": { target: "ws://localhost:8080", ws: true } } },
  build: { outDir: "dist", emptyOutDir: true },
  // Only inside this repository, which is not installed: elsewhere the package says itself what browsers get.
  resolve: {
    alias: [
      { find: /^hawser\/client$/, replacement: source("client/browser.ts") },
      { find: /^hawser\/codec$/, replacement: source("codec/index.ts") },
      { find: /^hawser$/, replacement: source("index.ts") },
    ],
  },
});

export default config;
