import { defineConfig, type UserConfig } from "vite";

const config: UserConfig = defineConfig({
  server: {
    // In development the page's own address leads to the Hawser server too, as a proxy's does in production.
    proxy: { "/rpc": { target: "http://localhost:8080", ws: true } },
  },
  // Modules wait for their connection with `await`, outside of functions.
  build: { target: "es2022" },
});

export default config;
