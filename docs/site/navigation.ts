// What the site's navigation shows, as data: a page of docs that is not here fails a test.

/** A part of the navigation. */
export interface Part {
  readonly title: string;
  /** Pages of `docs` by their file names, in the order in which they are to be read. */
  readonly pages: readonly string[];
}

export const navigation: readonly Part[] = [
  {
    title: "Begin",
    pages: ["tutorial.md", "calls.md", "connections.md", "browser.md", "tabs.md", "fallback.md", "topics.md"],
  },
  {
    title: "Be sure",
    pages: ["reliability.md", "idempotency.md", "limits.md", "testing.md", "troubleshooting.md"],
  },
  { title: "Build", pages: ["codegen.md", "validation.md", "frameworks.md", "cli.md"] },
  {
    title: "Run",
    pages: [
      "servers.md",
      "auth.md",
      "deploy.md",
      "cluster.md",
      "SCALING.md",
      "compression.md",
      "observability.md",
      "inspector.md",
    ],
  },
  { title: "Come over", pages: ["from-socket-io.md", "from-connect.md", "connect.md", "from-trpc.md"] },
  {
    title: "Look it up",
    pages: ["PROTOCOL.md", "THREATS.md", "comparison.md", "benchmarks.md", "versioning.md", "newcomer.md"],
  },
];
