import { type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { Code, codeFromWire } from "../../base/code.js";
import { RpcError } from "../../base/error.js";
import { createClient } from "../../rpc/client.js";
import type { Transport } from "../../rpc/transport.js";
import { missingImports, registryOf } from "./files.js";

type Question = ServerReflectionRequest["messageRequest"];
type Answer = ServerReflectionResponse["messageResponse"];

/** Nothing that a server answers at once should take longer. */
const TIMEOUT_MS = 10_000;

/** What a server tells about its schema. */
export interface Reflection {
  /** Full names of its services. */
  services(): Promise<string[]>;
  /**
   * All types of the files that declare these symbols, and of those that declare the server's services.
   *
   * @throws RpcError NOT_FOUND with the server's words when a symbol is not known there.
   */
  files(symbols: readonly string[]): Promise<FileRegistry>;
}

/**
 * Asks a server by `grpc.reflection.v1`.
 *
 * @param headers metadata of the calls
 */
export function reflectionOf(transport: Transport, headers: [string, string][]): Reflection {
  const client = createClient(ServerReflection, transport);
  /** Answers in the order of the questions. */
  const ask = async (questions: readonly Question[]): Promise<Answer[]> => {
    const answers: Answer[] = [];
    try {
      const options = { headers, timeoutMs: TIMEOUT_MS };
      for await (const { messageResponse } of client.serverReflectionInfo(requests(questions), options))
        answers.push(messageResponse);
    } catch (error) {
      throw explained(error);
    }
    return answers;
  };
  const services = async () => {
    const [answer] = await ask([{ case: "listServices", value: "*" }]);
    if (answer?.case !== "listServicesResponse")
      throw new RpcError("the server's reflection did not list its services", Code.Internal);
    return answer.value.service.map(({ name }) => name).sort();
  };
  return {
    services,
    async files(symbols) {
      const files = new Map<string, FileDescriptorProto>();
      // Messages may hold others, as Any or as details of errors: the files of the other services may have their types.
      const others = (await services()).filter((name) => !symbols.includes(name));
      const answers = await ask(
        [...symbols, ...others].map((value) => ({ case: "fileContainingSymbol", value })),
      );
      for (const [index, answer] of answers.entries()) {
        if (index < symbols.length) throwError(answer);
        collect(answer, files);
      }
      // Servers may send a file without what it imports.
      for (let missing = missingImports(files); missing.length > 0; missing = missingImports(files)) {
        const before = files.size;
        for (const answer of await ask(missing.map((value) => ({ case: "fileByFilename", value }))))
          collect(answer, files);
        if (files.size === before) break;
      }
      return registryOf(files.values(), "the server's reflection");
    },
  };
}

function throwError(answer: Answer): void {
  if (answer.case !== "errorResponse") return;
  const { errorCode, errorMessage } = answer.value;
  throw new RpcError(errorMessage, codeFromWire(errorCode), { executed: "yes" });
}

function collect(answer: Answer, files: Map<string, FileDescriptorProto>): void {
  if (answer.case !== "fileDescriptorResponse") return;
  for (const bytes of answer.value.fileDescriptorProto) {
    const file = fromBinary(FileDescriptorProtoSchema, bytes);
    files.set(file.name, file);
  }
}

async function* requests(questions: readonly Question[]): AsyncGenerator<{ messageRequest: Question }> {
  for (const messageRequest of questions) yield { messageRequest };
}

function explained(error: unknown): unknown {
  if (!(error instanceof RpcError) || error.code !== Code.Unimplemented) return error;
  return new RpcError(
    "the server does not tell its schema (createServer() does not by itself where NODE_ENV is production): give --schema, or the server the option reflection: true",
    Code.Unimplemented,
    { executed: "no", cause: error },
  );
}
