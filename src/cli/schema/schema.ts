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
  const { registry, descriptor } = await findService(schema, service);
  const found = descriptor.methods.find((one) => one.name === method);
  if (found === undefined) {
    const known = descriptor.methods.map((one) => one.name).join(", ");
    throw new UsageError(`${service} has no method ${method}; it has ${known === "" ? "none" : known}`);
  }
  return { method: found, registry };
}

async function findService(
  schema: Schema,
  name: string,
): Promise<{ readonly registry: FileRegistry; readonly descriptor: DescService }> {
  let registry: FileRegistry | undefined;
  try {
    registry = await schema.types([name]);
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== Code.NotFound) throw error;
  }
  const descriptor = registry?.getService(name);
  if (registry === undefined || descriptor === undefined) {
    const known = await schema.services();
    throw new UsageError(
      `there is no service ${name}; there is ${known.length === 0 ? "none" : known.join(", ")}`,
    );
  }
  return { registry, descriptor };
}
