import type { DescFile, DescMessage, DescService } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import type { GeneratedFile } from "@bufbuild/protoplugin";

/** Names of what is generated for a message. */
export interface MessageNames {
  readonly codec: string;
  readonly bound: string;
  readonly write: string;
  readonly read: string;
}

/** Names of what is generated for a service. */
export interface ServiceNames {
  readonly client: string;
  readonly createClient: string;
  readonly handlers: string;
  readonly routes: string;
}

/** Names of all that is generated for a file. */
export interface FileNames {
  message(message: DescMessage): MessageNames;
  service(service: DescService): ServiceNames;
}

const files = new WeakMap<DescFile, FileNames>();

/**
 * Gives a file's messages and services their names. Generated files export what `protoc-gen-es` has generated along with
 * their own, so where a message of the schema has such a name already, ours gets `$1` behind it.
 *
 * @param file any generated file; it knows the names that `protoc-gen-es` gives
 */
export function namesIn(desc: DescFile, file: GeneratedFile): FileNames {
  let names = files.get(desc);
  if (names === undefined) {
    names = nameAll(desc, file);
    files.set(desc, names);
  }
  return names;
}

function nameAll(desc: DescFile, file: GeneratedFile): FileNames {
  const taken = new Set<string>();
  for (const type of [desc, ...nestedTypes(desc)]) {
    taken.add(file.importSchema(type).name);
    if (type.kind !== "message" && type.kind !== "enum") continue;
    taken.add(file.importShape(type).name);
    taken.add(file.importJson(type).name);
    if (type.kind === "message") taken.add(file.importValid(type).name);
  }
  const free = (name: string): string => {
    let unique = name;
    for (let i = 1; taken.has(unique); i++) unique = `${name}$${i}`;
    taken.add(unique);
    return unique;
  };
  const messages = new Map<DescMessage, MessageNames>();
  const services = new Map<DescService, ServiceNames>();
  for (const type of nestedTypes(desc)) {
    if (type.kind === "message") {
      const { name } = file.importShape(type);
      messages.set(type, {
        codec: free(`${name}Codec`),
        bound: free(`bound${name}`),
        write: free(`write${name}`),
        read: free(`read${name}`),
      });
    } else if (type.kind === "service") {
      const { name } = file.importSchema(type);
      services.set(type, {
        client: free(`${name}Client`),
        createClient: free(`create${upper(name)}Client`),
        handlers: free(`${name}Handlers`),
        routes: free(`${lower(name)}Routes`),
      });
    }
  }
  return {
    message: (message) => messages.get(message) as MessageNames,
    service: (service) => services.get(service) as ServiceNames,
  };
}

const upper = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);
const lower = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);
