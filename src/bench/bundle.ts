import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";
import { CONTENDERS, type ContenderName } from "./contenders.js";
import type { CompiledNodes } from "./nodes.js";
import type { Compiled } from "./run.js";

const HERE: string = import.meta.dirname;
/** Where the packages of peers are installed, if they are. */
const PEERS: string = join(HERE, "peers");

/** Starts nodes of Socket.IO; needs nothing of ours, so it runs as it is. */
const SOCKET_IO_NODES: string = join(PEERS, "socket-io-nodes.mjs");

/** Why a contender cannot take part; `undefined` when it can. */
export function missingPackage(name: ContenderName): string | undefined {
  const { needs, module } = CONTENDERS[name];
  const there = needs === undefined || existsSync(join(PEERS, "node_modules", needs));
  return there && existsSync(join(HERE, module)) ? undefined : needs;
}

/** How peers are installed. */
export const HOW_TO_INSTALL_PEERS = "npm ci --prefix src/bench/peers";

/** The session's files that the build without reliability does without. */
const WITHOUT = ["outbox.ts", "inbox.ts"];

/** Leaves out sequence numbers, acknowledgements and the outbox, to measure what they cost. */
const withoutReliability: Plugin = {
  name: "without-reliability",
  setup(setup) {
    setup.onResolve({ filter: /\/(outbox|inbox)\.js$/ }, ({ path, importer, resolveDir }) => {
      const file = resolve(resolveDir, path).replace(/\.js$/, ".ts");
      const name = WITHOUT.find((known) => file === resolve(HERE, "../session", known));
      if (name === undefined || importer.includes("without")) return undefined;
      return { path: join(HERE, "without", name) };
    });
  },
};

/** The contenders of a run, compiled as users' code is, so that what is measured is what runs in the end. */
export interface Bundles {
  of(name: ContenderName): Compiled;
  /** Of a deployment. */
  nodesOf(name: ContenderName): CompiledNodes;
  /** Removes what was written. */
  remove(): void;
}

/**
 * Compiles the process of a benchmark and these contenders. Peers are written below `peers`, where their packages are found.
 */
export async function bundle(names: readonly ContenderName[]): Promise<Bundles> {
  const own = makeFolder(resolve(".tmp"));
  const beside = makeFolder(join(PEERS, ".tmp"));
  const remove = () => {
    for (const folder of [own, beside]) rmSync(folder, { recursive: true, force: true });
    process.off("exit", remove);
  };
  // In any case, as when somebody stops the run.
  process.once("exit", remove);
  try {
    const places = new Map(names.map((name) => [name, placeOf(name)] as const));
    const modules = (place: Place) =>
      names.filter((name) => places.get(name) === place).map((name) => CONTENDERS[name].module);
    const processes = ["process.ts", "nodes-client.ts", "hawser-node.ts"];
    await compile(join(own, "whole"), [...processes, ...modules("whole")], []);
    await compile(join(own, "without"), modules("without"), [withoutReliability]);
    await compile(beside, modules("peers"), []);
    const script = (name: string) => join(own, "whole", `${name}.js`);
    const moduleOf = (name: ContenderName) => {
      const place = places.get(name) ?? "whole";
      const folder = place === "peers" ? beside : join(own, place);
      return pathToFileURL(join(folder, CONTENDERS[name].module.replace(/\.m?[jt]s$/, ".js"))).href;
    };
    return {
      of: (name) => ({ script: script("process"), module: moduleOf(name) }),
      nodesOf: (name) => ({
        server: CONTENDERS[name].needs === undefined ? script("hawser-node") : SOCKET_IO_NODES,
        client: script("nodes-client"),
        module: moduleOf(name),
      }),
      remove,
    };
  } catch (error) {
    remove();
    throw error;
  }
}

type Place = "whole" | "without" | "peers";

function placeOf(name: ContenderName): Place {
  const { needs, withoutReliability } = CONTENDERS[name];
  return needs !== undefined ? "peers" : withoutReliability ? "without" : "whole";
}

function makeFolder(parent: string): string {
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, "bench-"));
}

async function compile(outdir: string, files: readonly string[], plugins: Plugin[]): Promise<void> {
  if (files.length === 0) return;
  await build({
    entryPoints: [...new Set(files)].map((file) => join(HERE, file)),
    outdir,
    outbase: HERE,
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "es2023",
    packages: "external",
    logLevel: "error",
    absWorkingDir: resolve(HERE, "../.."),
    plugins,
  });
}

/** A path for people, from where they are. */
export function shownPath(path: string): string {
  return relative(process.cwd(), resolve(path));
}
