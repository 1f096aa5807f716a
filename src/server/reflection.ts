import type { DescService, MessageInitShape } from "@bufbuild/protobuf";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { Router, Routes, RouteTable } from "../rpc/router.js";
import { Descriptors, SentFiles } from "./descriptors.js";

type Response = MessageInitShape<typeof ServerReflectionResponseSchema>;
type Answer = NonNullable<Response["messageResponse"]>;

/**
 * Routes for `grpc.reflection.v1.ServerReflection`, unless the user serves it.
 *
 * @param served What the server serves, asked for with the first call.
 */
export function reflectionRoutes(served: () => RouteTable): Routes {
  let services: readonly DescService[] | undefined;
  let descriptors: Descriptors | undefined;
  const answer = (request: ServerReflectionRequest, sent: SentFiles): Answer => {
    services ??= [...new Set([...served().values()].map(({ method }) => method.parent))];
    descriptors ??= new Descriptors(services);
    return answerOf(request, services, descriptors, sent);
  };
  return (router: Router) =>
    router.service(ServerReflection, {
      async *serverReflectionInfo(requests) {
        const sent = new SentFiles();
        for await (const request of requests) {
          yield {
            validHost: request.host,
            originalRequest: request,
            messageResponse: answer(request, sent),
          } satisfies Response;
        }
      },
    });
}

function answerOf(
  { messageRequest: { case: question, value } }: ServerReflectionRequest,
  services: readonly DescService[],
  descriptors: Descriptors,
  sent: SentFiles,
): Answer {
  const fileOr = (file: ReturnType<Descriptors["file"]>, missing: string): Answer =>
    file === undefined
      ? notFound(missing)
      : { case: "fileDescriptorResponse", value: { fileDescriptorProto: sent.encode(file) } };
  switch (question) {
    case "listServices":
      return {
        case: "listServicesResponse",
        value: { service: services.map(({ typeName }) => ({ name: typeName })) },
      };
    case "fileByFilename":
      return fileOr(descriptors.file(value), `file ${value}`);
    case "fileContainingSymbol":
      return fileOr(descriptors.fileOf(value), `symbol ${value}`);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = value;
      const file = descriptors.fileOfExtension(containingType, extensionNumber);
      return fileOr(file, `extension ${extensionNumber} of ${containingType}`);
    }
    case "allExtensionNumbersOfType": {
      const extensionNumber = descriptors.extensionNumbers(value);
      if (extensionNumber === undefined) return notFound(`message type ${value}`);
      return { case: "allExtensionNumbersResponse", value: { baseTypeName: value, extensionNumber } };
    }
    default:
      throw new RpcError("the reflection request asks nothing that is known here", Code.InvalidArgument);
  }
}

function notFound(what: string): Answer {
  const errorMessage = `no ${what} belongs to what this server serves`;
  return { case: "errorResponse", value: { errorCode: Code.NotFound, errorMessage } };
}
