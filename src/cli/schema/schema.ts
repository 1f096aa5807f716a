import type { DescMethod, DescService, FileRegistry } from "@bufbuild/protobuf";
import { Code } from "../../base/code.js";
import { RpcError } from "../../base/error.js";
import type { Transport } from "../../rpc/transport.js";
import { UsageError } from "../failure.js";
import type { SchemaArguments } from "../options.js";
import { registryOf } from "./files.js";
import { reflectionOf } from "./reflect.js";
import { readSchema } from "./source.js";

/** The schema that a command goes by. */
export interface Schema {
  /** Full names of the services, sorted. */
  services(): Promise<string[]>;
  /**
   * The types of the files that declare these symbols, and of what those import.
   *
   * @throws UsageError or RpcError NOT_FOUND when one is not known.
   */
  types(symbols: readonly string[]): Promise<FileRegistry>;
}

/**
 * The schema that the arguments name.
 *
 * @param connect gives the connection by which the server is asked, if it is
 * @throws UsageError
 */
export function schemaOf(
  { schema, reflect }: SchemaArguments,
  connect: () => Promise<Transport>,
  headers: [string, string][],
): Schema {
  if (schema.length > 0 && reflect) throw new UsageError("--schema and --reflect exclude each other");
  if (schema.length === 0) {
    return {
      services: async () => reflectionOf(await connect(), headers).services(),
      types: async (symbols) => reflectionOf(await connect(), headers).files(symbols),
    };
  }
  const registry = registryOf(schema.flatMap(readSchema), `--schema ${schema.join(", ")}`);
  return {
    services: async () =>
      [...registry]
        .filter(({ kind }) => kind === "service")
        .map(({ typeName }) => typeName)
        .sort(),
    types: async () => registry,
  };
}

/** A method, and the types that its messages may hold. */
export interface MethodTypes {
  readonly method: DescMethod;
  readonly registry: FileRegistry;
}

/**
 * The method of a name: `package.Service/Method`, or with a dot.
 *
 * @throws UsageError when there is none; RpcError when the server does not tell.
 */
export async function findMethod(schema: Schema, name: string): Promise<MethodTypes> {
  const [, service, method] = /^\/?([\w.]+)[/.](\w+)$/.exec(name) ?? [];
  if (service === undefined || method === undefined)
    throw new UsageError(`"${name}" is no method; name one as package.Service/Method`);
  const { registry, services } = await findServices(schema, [service]);
  const methods = services.flatMap((one) => one.methods);
  const found = methods.find((one) => one.name === method);
  if (found === undefined) {
    const known = methods.map((one) => one.name).join(", ");
    throw new UsageError(`${service} has no method ${method}; it has ${known === "" ? "none" : known}`);
  }
  return { method: found, registry };
}

/** Services, and the types that their methods take and give. */
export interface ServiceTypes {
  readonly registry: FileRegistry;
  readonly services: readonly DescService[];
}

/**
 * The services of these names, in the same order.
 *
 * @throws UsageError that names those there are, when one is missing; RpcError when the server does not tell.
 */
export async function findServices(schema: Schema, names: readonly string[]): Promise<ServiceTypes> {
  const registry = await typesOf(schema, names, "service");
  const services: DescService[] = [];
  for (const name of names) {
    const service = registry.getService(name);
    if (service === undefined) throw await noSuch("service", [name], schema);
    services.push(service);
  }
  return { registry, services };
}

/**
 * The types of the files that declare these symbols.
 *
 * @throws UsageError that names the services there are, when the server does not know one.
 */
export async function typesOf(
  schema: Schema,
  symbols: readonly string[],
  what: "service" | "symbol" = "symbol",
): Promise<FileRegistry> {
  try {
    return await schema.types(symbols);
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== Code.NotFound) throw error;
    throw await noSuch(what, symbols, schema);
  }
}

/** Says which services there are instead. */
export async function noSuch(
  what: "service" | "symbol",
  names: readonly string[],
  schema: Schema,
): Promise<UsageError> {
  const known = await schema.services();
  const services = known.length === 0 ? "no service at all" : known.join(", ");
  return new UsageError(`there is no ${what} ${names.join(", ")}; the services are ${services}`);
}
