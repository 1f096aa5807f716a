import { fileURLToPath } from "node:url";
import { defineConfig, type ViteUserConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(`src/${path}`, import.meta.url));

/**
 * Tests that watch memory, allocations or painted frames, or that load the machine to see what gives way: one file at a
 * time, when all others are done.
 */
const ALONE = [
  "test/bench/**",
  "test/browser/rendering.test.ts",
  "test/chaos/**",
  "test/cli/bench.test.ts",
  "test/cli/load.test.ts",
  "test/faults/**",
  "test/topics/slow.test.ts",
  "test/tune/**",
];

const config: ViteUserConfig = defineConfig({
  resolve: {
    alias: [
      { find: /^hawser$/, replacement: source("index.ts") },
      {
        find: /^hawser\/(client|codec|connectrpc|inspector|nats|server|tabs|testing)$/,
        replacement: source("$1/index.ts"),
      },
    ],
  },
  test: {
    pool: "forks",
    testTimeout: 60_000,
    hookTimeout: 60_000,
    allowOnly: false,
    passWithNoTests: false,
    dangerouslyIgnoreUnhandledErrors: false,
    projects: [
      {
        extends: true,
        test: {
          name: "side by side",
          include: ["test/**/*.test.ts"],
          exclude: ALONE,
          // Most of them wait for others most of the time: for brokers, browsers, timers.
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "alone",
          include: ALONE.map((path) => path.replace("**", "**/*.test.ts")),
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});

export default config;
