import { UsageError } from "./failure.js";
import type { SchemaArguments } from "./options.js";
import { createNarrator, printLine } from "./output.js";
import { findServices, schemaOf } from "./schema/schema.js";
import { connectOptions, type TargetArguments, targetHeaders, targetUrl, withConnection } from "./target.js";

/** What `hawser list` is told. */
export interface ListArguments {
  /** The URL, unless `--schema` is there, and names of services. */
  readonly places: readonly string[];
  readonly schema: SchemaArguments;
  readonly target: TargetArguments;
}

/** The URL and the names among positional arguments; with `--schema` there is no URL. @throws UsageError */
export function splitPlaces(
  places: readonly string[],
  { schema }: SchemaArguments,
): { readonly url: string; readonly names: readonly string[] } {
  if (schema.length > 0) return { url: "", names: places };
  const [url, ...names] = places;
  if (url === undefined) throw new UsageError("name a server by its URL, or a schema by --schema");
  return { url: targetUrl(url), names };
}

/**
 * Prints the names of services, or of the methods of the services that are named.
 *
 * @throws UsageError or RpcError
 */
export function runList(args: ListArguments): Promise<number> {
  const { schema, target } = args;
  const { url, names } = splitPlaces(args.places, schema);
  const headers = targetHeaders(target);
  return withConnection(url, connectOptions(target), createNarrator(false), async (connect) => {
    const source = schemaOf(schema, connect, headers);
    if (names.length === 0) {
      for (const name of await source.services()) await printLine(name);
      return 0;
    }
    const { services } = await findServices(source, names);
    for (const { typeName, methods } of services) {
      for (const { name } of methods) await printLine(`${typeName}/${name}`);
    }
    return 0;
  });
}
