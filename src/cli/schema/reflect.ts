import { type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { Code } from "../../base/code.js";
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
   * All types of the files that declare these symbols; `undefined` for a symbol means that the server has none of that name.
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
  const ask = async (questions: readonly Question[]): Promise<Answer[]> => {
    const answers: Answer[] = [];
    try {
      for await (const { messageResponse } of client.serverReflectionInfo(requests(questions), {
        headers,
        timeoutMs: TIMEOUT_MS,
      })) {
        if (messageResponse.case === "errorResponse") {
          const { errorCode, errorMessage } = messageResponse.value;
          throw new RpcError(errorMessage, errorCode as Code, { executed: "yes" });
        }
        answers.push(messageResponse);
      }
    } catch (error) {
      throw explained(error);
    }
    return answers;
  };
  const fetch = async (questions: readonly Question[], files: Map<string, FileDescriptorProto>) => {
    for (const answer of await ask(questions)) {
      if (answer.case !== "fileDescriptorResponse") continue;
      for (const bytes of answer.value.fileDescriptorProto) {
        const file = fromBinary(FileDescriptorProtoSchema, bytes);
        files.set(file.name, file);
      }
    }
  };
  return {
    async services() {
      const [answer] = await ask([{ case: "listServices", value: "*" }]);
      if (answer?.case !== "listServicesResponse")
        throw new RpcError("the server's reflection did not list its services", Code.Internal);
      return answer.value.service.map(({ name }) => name).sort();
    },
    async files(symbols) {
      const files = new Map<string, FileDescriptorProto>();
      await fetch(
        symbols.map((value) => ({ case: "fileContainingSymbol", value })),
        files,
      );
      // Servers may send a file without what it imports.
      for (let missing = missingImports(files); missing.length > 0; missing = missingImports(files)) {
        const before = files.size;
        await fetch(
          missing.map((value) => ({ case: "fileByFilename", value })),
          files,
        );
        if (files.size === before) break;
      }
      return registryOf(files.values(), "the server's reflection");
    },
  };
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
