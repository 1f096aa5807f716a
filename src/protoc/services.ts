import type { DescFile, DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { type GeneratedFile, getComments, type Printable, type Target } from "@bufbuild/protoplugin";
import { keyOf } from "./context.js";
import { namesIn, type ServiceNames } from "./names.js";

/** Number of `(hawser.v1.once)` among the options of a method; see `proto/hawser/v1/options.proto`. */
const ONCE_FIELD = 72_917;

/** The descriptor of a message or a service, from where it is best imported. */
export type SchemaOf = (type: DescMessage | DescService, typeOnly?: boolean) => Printable;

/** Generates for each service of a file: an interface for clients, one for handlers, and a factory for each. */
export function generateServices(
  file: GeneratedFile,
  desc: DescFile,
  target: Target,
  schemaOf: SchemaOf,
): void {
  for (const type of nestedTypes(desc)) {
    if (type.kind !== "service") continue;
    const names = namesIn(desc, file).service(type);
    if (target !== "js") generateClient(file, type, names, schemaOf);
    generateCreateClient(file, type, names, target, schemaOf);
    if (target !== "js") generateHandlers(file, type, names, schemaOf);
    generateRoutes(file, type, names, target, schemaOf);
  }
}

function generateClient(
  file: GeneratedFile,
  service: DescService,
  names: ServiceNames,
  schemaOf: SchemaOf,
): void {
  print(file, "", `A client of ${service.typeName}.`, service);
  file.print(file.export("interface", names.client), " {");
  for (const method of service.methods) {
    print(file, "  ", traits(method), method);
    const options = [", options?: ", file.import("CallOptions", "hawser", true)];
    const request = streamsIn(method)
      ? ["(requests: AsyncIterable<", init(file, schemaOf, method.input), ">", ...options, ")"]
      : ["(request: ", init(file, schemaOf, method.input), ...options, ")"];
    const response = [streamsOut(method) ? "AsyncIterable<" : "Promise<", shape(file, method.output), ">"];
    file.print("  ", keyOf(method.localName), ...request, ": ", ...response, ";");
  }
  file.print("}");
  file.print();
}

function generateCreateClient(
  file: GeneratedFile,
  service: DescService,
  names: ServiceNames,
  target: Target,
  schemaOf: SchemaOf,
): void {
  const about = `Makes a client of ${service.typeName}, over a connection or, on a server, a session.`;
  print(file, "", about, service, false);
  const type = ["(transport: ", file.import("Transport", "hawser", true), "): ", names.client];
  factory(file, names.createClient, "transport", type, target, () => {
    file.print("  return ", file.import("createClient", "hawser"), "(", schemaOf(service), ", transport);");
  });
}

function generateHandlers(
  file: GeneratedFile,
  service: DescService,
  names: ServiceNames,
  schemaOf: SchemaOf,
): void {
  print(
    file,
    "",
    `The handlers of ${service.typeName}: an object, or a class that implements this.`,
    service,
  );
  file.print(file.export("interface", names.handlers), " {");
  for (const method of service.methods) {
    print(file, "  ", traits(method), method);
    const context = [", context: ", file.import("HandlerContext", "hawser", true), ")"];
    const request = streamsIn(method)
      ? ["(requests: AsyncIterable<", shape(file, method.input), ">", ...context]
      : ["(request: ", shape(file, method.input), ...context];
    file.print("  ", keyOf(method.localName), ...request, ": ", ...handled(file, method, schemaOf), ";");
  }
  file.print("}");
  file.print();
}

function generateRoutes(
  file: GeneratedFile,
  service: DescService,
  names: ServiceNames,
  target: Target,
  schemaOf: SchemaOf,
): void {
  const about = `Routes of ${service.typeName}, for \`createServer({ routes })\`, or within other routes: \`${names.routes}(handlers)(router)\`.`;
  print(file, "", `${about} Methods without a handler answer UNIMPLEMENTED.`, service, false);
  const type = ["(handlers: Partial<", names.handlers, ">): ", file.import("Routes", "hawser", true)];
  factory(file, names.routes, "handlers", type, target, () => {
    file.print("  return (router) => {");
    file.print("    router.service(", schemaOf(service), ", handlers);");
    file.print("  };");
  });
}

/** A function, or its declaration. */
function factory(
  file: GeneratedFile,
  name: string,
  parameter: string,
  type: Printable[],
  target: Target,
  body: () => void,
): void {
  if (target === "dts") {
    file.print(file.export("declare function", name), ...type, ";");
  } else {
    const signature = target === "ts" ? type : [`(${parameter})`];
    file.print(file.export("function", name), ...signature, " {");
    body();
    file.print("}");
  }
  file.print();
}

/** What a handler may return. */
function handled(file: GeneratedFile, method: DescMethod, schemaOf: SchemaOf): Printable[] {
  const response = init(file, schemaOf, method.output);
  switch (method.methodKind) {
    case "unary":
      return ["Promise<", response, "> | ", response];
    case "client_streaming":
      return ["Promise<", response, ">"];
    case "bidi_streaming":
      return ["AsyncIterable<", response, ">"];
    case "server_streaming": {
      const topic = [file.import("Topic", "hawser", true), "<typeof ", schemaOf(method.output, true), ">"];
      return ["AsyncIterable<", response, "> | ", ...topic, " | Promise<", ...topic, ">"];
    }
  }
}

const streamsIn = ({ methodKind }: DescMethod): boolean =>
  methodKind === "client_streaming" || methodKind === "bidi_streaming";

const streamsOut = ({ methodKind }: DescMethod): boolean =>
  methodKind === "server_streaming" || methodKind === "bidi_streaming";

/** The type of a message as it is received. */
function shape(file: GeneratedFile, message: DescMessage): Printable {
  return file.importShape(message);
}

/** The type of what a message is made of. */
function init(file: GeneratedFile, schemaOf: SchemaOf, message: DescMessage): Printable {
  const type = file.import("MessageInitShape", "@bufbuild/protobuf", true);
  return [type, "<typeof ", schemaOf(message, true), ">"];
}

/** What the schema says about calling a method. */
function traits(method: DescMethod): string {
  const kind = {
    unary: "Unary",
    server_streaming: "Server streaming",
    client_streaming: "Client streaming",
    bidi_streaming: "Bidirectional streaming",
  }[method.methodKind];
  const once = method.proto.options?.$unknown?.findLast(({ no }) => no === ONCE_FIELD)?.data[0] === 1;
  if (once) return `${kind}; \`(hawser.v1.once)\`: takes effect once, however often a call is attempted.`;
  switch (method.idempotency) {
    case MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS:
      return `${kind}; \`NO_SIDE_EFFECTS\`: may be attempted again, even at the same time.`;
    case MethodOptions_IdempotencyLevel.IDEMPOTENT:
      return `${kind}; \`IDEMPOTENT\`: may be attempted again.`;
    default:
      return `${kind}.`;
  }
}

/** A docstring: the schema's own comment, what we have to say, where it comes from. */
function print(
  file: GeneratedFile,
  indentation: string,
  about: string,
  desc: DescService | DescMethod,
  withComment = true,
): void {
  const paragraphs: string[] = [];
  if (withComment) {
    const { leading, trailing } = getComments(desc);
    for (const comment of [leading, trailing]) {
      if (comment === undefined) continue;
      // Behind each // there is mostly a space.
      const lines = comment.trimEnd().split("\n");
      paragraphs.push(lines.map((line) => line.replace(/^ /, "")).join("\n"));
    }
  }
  paragraphs.push(about, `@generated from ${desc.toString()}`);
  const deprecated = desc.deprecated || (desc.kind === "service" && desc.file.deprecated);
  file.print(file.jsDoc(paragraphs.join("\n\n") + (deprecated ? "\n@deprecated" : ""), indentation));
}
