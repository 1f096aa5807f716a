// Options that several commands have.
import { object } from "@optique/core/constructs";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import type { Parser } from "@optique/core/parser";
import { argument, flag, option } from "@optique/core/primitives";
import { choice, string } from "@optique/core/valueparser";
import { type TargetArguments, targetUrl } from "./target.js";
import { customValue, durationValue, pathValue, say } from "./values.js";

/** Where the schema comes from. */
export interface SchemaArguments {
  /** Paths; none: the server is asked. */
  readonly schema: readonly string[];
  readonly reflect: boolean;
}

/** The server. */
export const urlArgument: Parser<"sync", string> = argument(customValue("URL", targetUrl, ""), {
  description: say(
    "The server's WebSocket URL. Without a scheme it is ws://, without a path /rpc: localhost:8080 is ws://localhost:8080/rpc.",
  ),
});

/** The method of a call. */
export const methodArgument: Parser<"sync", string> = argument(string({ metavar: "METHOD" }), {
  description: say("The method's full name: package.Service/Method."),
});

/** How to get into the server. */
export const targetOptions: Parser<"sync", TargetArguments> = object("The server", {
  headers: multiple(
    option("-H", "--header", string({ metavar: "HEADER" }), {
      description: say('Metadata of the calls, as "name: value". May be given several times.'),
    }),
  ),
  token: optional(
    option("--token", string({ metavar: "TOKEN" }), {
      description: say(
        "Credentials for the server's authentication; @file reads them from a file. Default: the environment variable HAWSER_TOKEN.",
      ),
    }),
  ),
  tokenIn: withDefault(
    option("--token-in", choice(["hello", "subprotocol", "header"], { metavar: "WHERE" }), {
      description: say(
        "Where credentials travel: hello (inside the first packet), or for gateways also in the upgrade request: subprotocol, header.",
      ),
    }),
    "hello" as const,
    { message: say("hello") },
  ),
  cacert: optional(
    option("--cacert", pathValue("FILE"), {
      description: say("Certificates of authorities to trust instead of the usual ones, in PEM."),
    }),
  ),
  insecure: withDefault(
    flag("-k", "--insecure", {
      description: say("Trusts any certificate of the server. For tests only."),
    }),
    false,
    { message: [] },
  ),
  connectTimeout: withDefault(
    option("--connect-timeout", durationValue(1), {
      description: say("Longest wait for a connection to open."),
    }),
    10_000,
    { message: say("10s") },
  ),
});

/** Where the schema comes from. */
export const schemaOptions: Parser<"sync", SchemaArguments> = object("The schema", {
  schema: multiple(
    option("--schema", pathValue("PATH"), {
      description: say(
        "A .proto file, a folder of them or a module of buf (these three need buf), or a file with a FileDescriptorSet in binary or JSON. May be given several times.",
      ),
    }),
  ),
  reflect: withDefault(
    flag("--reflect", {
      description: say(
        "Asks the server for its schema, by grpc.reflection.v1. This is what is done without --schema.",
      ),
    }),
    false,
    { message: [] },
  ),
});
