import type { DescFile, FileRegistry } from "@bufbuild/protobuf";
import { splitPlaces } from "../list.js";
import type { SchemaArguments } from "../options.js";
import { createNarrator, printLine } from "../output.js";
import { noSuch, type Schema, schemaOf, typesOf } from "../schema/schema.js";
import { connectOptions, type TargetArguments, targetHeaders, withConnection } from "../target.js";
import { type Printable, printDescriptor } from "./print.js";

/** What `hawser describe` is told. */
export interface DescribeArguments {
  /** The URL, unless `--schema` is there, and symbols. */
  readonly places: readonly string[];
  readonly schema: SchemaArguments;
  readonly target: TargetArguments;
}

/**
 * Prints declarations as in a `.proto` file: those of the symbols that are named, or of all services. A method comes with the
 * messages that it takes and gives.
 *
 * @throws UsageError or RpcError
 */
export function runDescribe(args: DescribeArguments): Promise<number> {
  const { schema, target } = args;
  const { url, names } = splitPlaces(args.places, schema);
  const headers = targetHeaders(target);
  return withConnection(url, connectOptions(target), createNarrator(false), async (connect) => {
    const source = schemaOf(schema, connect, headers);
    // A method may be named as it is called, too.
    const symbols =
      names.length === 0 ? await source.services() : names.map((name) => name.replace("/", "."));
    const registry = symbols.length === 0 ? undefined : await typesOf(source, symbols);
    let file: DescFile | undefined;
    for (const symbol of symbols) {
      for (const found of await declarations(symbol, registry, source)) {
        const of = found.kind === "rpc" ? found.parent.file : found.file;
        if (of !== file) await printLine(`${file === undefined ? "" : "\n"}${fileHead(of)}`);
        file = of;
        await printLine(`\n${printDescriptor(found).join("\n")}`);
      }
    }
    return 0;
  });
}

async function declarations(
  symbol: string,
  registry: FileRegistry | undefined,
  source: Schema,
): Promise<Printable[]> {
  const type = registry?.get(symbol);
  if (type !== undefined) return [type];
  const dot = symbol.lastIndexOf(".");
  const method = registry
    ?.getService(symbol.slice(0, dot))
    ?.methods.find(({ name }) => name === symbol.slice(dot + 1));
  if (method !== undefined) return [...new Set([method, method.input, method.output])];
  // A field or a value of an enum: what it stands in.
  const parent = registry?.getMessage(symbol.slice(0, dot));
  if (parent?.fields.some(({ name }) => name === symbol.slice(dot + 1)) === true) return [parent];
  throw await noSuch("symbol", [symbol], source);
}

function fileHead({ proto }: DescFile): string {
  return `// ${proto.name}\npackage ${proto.package};`;
}
