import {
  type DescExtension,
  type DescFile,
  type DescMessage,
  type DescService,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/**
 * The files in which services are declared, with all that these import, to be found by name and by what they declare.
 * Extensions in other files are not known here.
 */
export class Descriptors {
  readonly #files = new Map<string, DescFile>();
  readonly #symbols = new Map<string, DescFile>();
  readonly #messages = new Set<string>();
  /** By the extended type, then by number. */
  readonly #extensions = new Map<string, Map<number, DescFile>>();

  constructor(services: Iterable<DescService>) {
    for (const service of services) this.#addFile(service.file);
  }

  /** The file of this name, as in `import`. */
  file(name: string): DescFile | undefined {
    return this.#files.get(name);
  }

  /** The file that declares what has this full name: a type, a service, or a member of one. */
  fileOf(symbol: string): DescFile | undefined {
    return this.#symbols.get(symbol);
  }

  /** The file that declares an extension. */
  fileOfExtension(typeName: string, number: number): DescFile | undefined {
    return this.#extensions.get(typeName)?.get(number);
  }

  /** Numbers of all extensions of a message type; `undefined` when there is no such type. */
  extensionNumbers(typeName: string): number[] | undefined {
    if (!this.#messages.has(typeName)) return undefined;
    return [...(this.#extensions.get(typeName)?.keys() ?? [])];
  }

  #addFile(file: DescFile): void {
    const { name } = file.proto;
    if (this.#files.has(name)) return;
    this.#files.set(name, file);
    for (const dependency of file.dependencies) this.#addFile(dependency);
    for (const service of file.services) {
      this.#declare(service.typeName, file);
      for (const method of service.methods) this.#declare(`${service.typeName}.${method.name}`, file);
    }
    this.#addTypes(file, file);
  }

  #addTypes(
    scope: {
      readonly messages?: readonly DescMessage[];
      readonly nestedMessages?: readonly DescMessage[];
      readonly enums?: DescFile["enums"];
      readonly nestedEnums?: DescFile["enums"];
      readonly extensions?: readonly DescExtension[];
      readonly nestedExtensions?: readonly DescExtension[];
    },
    file: DescFile,
  ): void {
    for (const message of scope.messages ?? scope.nestedMessages ?? []) {
      this.#messages.add(message.typeName);
      this.#declare(message.typeName, file);
      for (const { name } of message.fields) this.#declare(`${message.typeName}.${name}`, file);
      for (const { name } of message.oneofs) this.#declare(`${message.typeName}.${name}`, file);
      this.#addTypes(message, file);
    }
    for (const enumeration of scope.enums ?? scope.nestedEnums ?? []) {
      this.#declare(enumeration.typeName, file);
      // Values are named beside their enum, not inside it, as in C++.
      const parent = enumeration.typeName.slice(0, -enumeration.name.length);
      for (const { name } of enumeration.values) this.#declare(`${parent}${name}`, file);
    }
    for (const extension of scope.extensions ?? scope.nestedExtensions ?? []) {
      this.#declare(extension.typeName, file);
      const { typeName } = extension.extendee;
      const known = this.#extensions.get(typeName);
      if (known === undefined) this.#extensions.set(typeName, new Map([[extension.number, file]]));
      else known.set(extension.number, file);
    }
  }

  #declare(symbol: string, file: DescFile): void {
    this.#symbols.set(symbol, file);
  }
}

/** Which files one caller has got already. */
export class SentFiles {
  readonly #sent = new Set<string>();

  /** The file, encoded, and behind it what it imports, directly or not, without what the caller has got already. */
  encode(file: DescFile): Uint8Array[] {
    const encoded = [toBinary(FileDescriptorProtoSchema, file.proto)];
    this.#sent.add(file.proto.name);
    this.#encodeImports(file, encoded);
    return encoded;
  }

  #encodeImports(file: DescFile, encoded: Uint8Array[]): void {
    for (const dependency of file.dependencies) {
      if (this.#sent.has(dependency.proto.name)) continue;
      this.#sent.add(dependency.proto.name);
      encoded.push(toBinary(FileDescriptorProtoSchema, dependency.proto));
      this.#encodeImports(dependency, encoded);
    }
  }
}
