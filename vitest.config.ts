import { fileURLToPath } from "node:url";
import { defineConfig, type ViteUserConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

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

/** Files that take long and are short: begun last, one of them would go on while everything else is done. */
const LONG = /test\/(simulation\/simulation|nats\/(bus|broker)|tabs\/tabs)\.test\.ts$/;

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) => LONG.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

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
    // Long enough for a machine that is several times slower than usual: tests wait for what happens, and none asserts a duration.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    allowOnly: false,
    passWithNoTests: false,
    sequence: { sequencer: LongFirst },
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
