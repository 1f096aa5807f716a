// The questions of grpc.reflection.v1, asked over a real connection; the cases are those of the implementations for gRPC.
import { createFileRegistry, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  ServerReflection,
  type ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { ReflectedService } from "../../gen/hawser/reflected/v1/reflected_pb.js";
import { Code, connect, createClient, RpcError } from "../../src/client/index.js";
import { createServer, memoryIdempotencyStore, type ServerOptions } from "../../src/server/index.js";

const PACKAGE = "hawser.reflected.v1";
const FILE = "hawser/reflected/v1/reflected.proto";
const BASE = "hawser/reflected/v1/base.proto";

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of closers.splice(0).reverse()) await close();
});

type Question = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]>;
type Ask = (...questions: Question[]) => Promise<ServerReflectionResponse[]>;

async function serve(options: Partial<ServerOptions> = {}, credentials?: string): Promise<Ask> {
  const server = createServer({
    routes: (router) => router.service(ReflectedService, { reflect: () => ({}) }),
    idempotencyStore: memoryIdempotencyStore(),
    ...options,
  });
  closers.push(() => server.close());
  const { url } = await server.listen({ port: 0, host: "127.0.0.1" });
  const connection = connect(url, credentials === undefined ? {} : { credentials });
  closers.push(() => connection.close());
  const reflection = createClient(ServerReflection, connection);
  return async (...questions) => {
    async function* requests() {
      for (const messageRequest of questions) yield { host: "h", messageRequest };
    }
    const answers: ServerReflectionResponse[] = [];
    for await (const answer of reflection.serverReflectionInfo(requests())) answers.push(answer);
    return answers;
  };
}

function files(answer: ServerReflectionResponse | undefined): string[] {
  const { messageResponse: response } = answer!;
  if (response.case !== "fileDescriptorResponse") throw new Error(`no files, but ${response.case}`);
  return response.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
}

const symbol = (value: string): Question => ({ case: "fileContainingSymbol", value });
const file = (value: string): Question => ({ case: "fileByFilename", value });
const extension = (extensionNumber: number, containingType = `${PACKAGE}.Extendable`): Question => ({
  case: "fileContainingExtension",
  value: { containingType, extensionNumber },
});
const numbers = (value: string): Question => ({ case: "allExtensionNumbersOfType", value });

describe("the questions", () => {
  test("list services: those of the user, and the server's own", async () => {
    const ask = await serve();
    const [answer] = await ask({ case: "listServices", value: "*" });
    expect(answer).toMatchObject({
      validHost: "h",
      originalRequest: { host: "h", messageRequest: { case: "listServices", value: "*" } },
      messageResponse: {
        case: "listServicesResponse",
        value: {
          service: [
            { name: `${PACKAGE}.ReflectedService` },
            { name: "grpc.health.v1.Health" },
            { name: "grpc.reflection.v1.ServerReflection" },
          ],
        },
      },
    });
  });

  test("a file by its name comes with all that it imports", async () => {
    const ask = await serve();
    const [answer] = await ask(file(FILE));
    expect(files(answer)).toEqual([
      FILE,
      BASE,
      "google/protobuf/timestamp.proto",
      "hawser/v1/options.proto",
      "google/protobuf/descriptor.proto",
    ]);
    expect(files((await ask(file("google/protobuf/timestamp.proto")))[0])).toHaveLength(1);
  });

  test("what a stream has got already is not sent again, but the file that is asked for is", async () => {
    const ask = await serve();
    const [first, second, third] = await ask(file(BASE), file(FILE), file(FILE));
    expect(files(first)).toEqual([BASE, "google/protobuf/timestamp.proto"]);
    expect(files(second)).toEqual([FILE, "hawser/v1/options.proto", "google/protobuf/descriptor.proto"]);
    expect(files(third)).toEqual([FILE]);
  });

  test("a client can build the types from the answer, custom options included", async () => {
    const ask = await serve();
    const [answer] = await ask(symbol(`${PACKAGE}.ReflectedService`));
    const { messageResponse: response } = answer!;
    if (response.case !== "fileDescriptorResponse") throw new Error("no files");
    const protos = response.value.fileDescriptorProto.map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );
    const registry = createFileRegistry(protos[0]!, (name) => protos.find((proto) => proto.name === name));
    const method = registry.getService(`${PACKAGE}.ReflectedService`)?.method["reflect"];
    expect(method?.input.fields.map(({ name }) => name)).toEqual(["nested", "left", "right", "by_name"]);
    const ours = ReflectedService.method.reflect;
    expect(method?.proto.options?.$unknown).toEqual(ours.proto.options?.$unknown);
    expect(method?.proto.options?.$unknown).toHaveLength(1);
  });

  test.each([
    ["ReflectedService", FILE],
    ["ReflectedService.Reflect", FILE],
    ["ReflectRequest", FILE],
    ["ReflectRequest.Nested", FILE],
    ["ReflectRequest.nested", FILE],
    ["ReflectRequest.choice", FILE],
    ["ReflectRequest.left", FILE],
    ["ReflectRequest.Nested.Mood", FILE],
    ["ReflectRequest.Nested.MOOD_CALM", FILE],
    ["ReflectRequest.Nested.nested_extension", FILE],
    ["Color", FILE],
    ["COLOR_RED", FILE],
    ["top_extension", FILE],
    ["Extendable", BASE],
    ["Extendable.at", BASE],
  ])("the file that declares %s", async (name, expected) => {
    const ask = await serve();
    expect(files((await ask(symbol(`${PACKAGE}.${name}`)))[0])[0]).toBe(expected);
  });

  test("extensions by number, and the numbers of a type", async () => {
    const ask = await serve();
    const [top, nested, all, none] = await ask(
      extension(100),
      extension(101),
      numbers(`${PACKAGE}.Extendable`),
      numbers(`${PACKAGE}.NotExtended`),
    );
    expect(files(top)[0]).toBe(FILE);
    expect(files(nested)[0]).toBe(FILE);
    const { messageResponse: response } = all!;
    if (response.case !== "allExtensionNumbersResponse") throw new Error(`no numbers, but ${response.case}`);
    expect(response.value.baseTypeName).toBe(`${PACKAGE}.Extendable`);
    expect([...response.value.extensionNumber].sort()).toEqual([100, 101]);
    expect(none?.messageResponse).toMatchObject({ case: "allExtensionNumbersResponse" });
    expect(none?.messageResponse.value).toMatchObject({ extensionNumber: [] });
  });

  test("what does not exist is answered so, and the stream goes on", async () => {
    const ask = await serve();
    const unknown = [
      file("nowhere.proto"),
      symbol(`${PACKAGE}.Nothing`),
      symbol(`${PACKAGE}.ReflectRequest.Nested.Mood.MOOD_CALM`),
      symbol(""),
      extension(199),
      extension(100, "no.such.Type"),
      numbers("no.such.Type"),
      numbers(`${PACKAGE}.ReflectedService`),
    ];
    const answers = await ask(...unknown, symbol(`${PACKAGE}.Color`));
    for (const { messageResponse } of answers.slice(0, -1))
      expect(messageResponse).toMatchObject({ case: "errorResponse", value: { errorCode: Code.NotFound } });
    expect(answers[0]?.messageResponse.value).toMatchObject({
      errorMessage: "no file nowhere.proto belongs to what this server serves",
    });
    expect(files(answers.at(-1))[0]).toBe(FILE);
  });

  test("a request without a question ends the stream", async () => {
    const ask = await serve();
    await expect(ask({ case: undefined })).rejects.toMatchObject({ code: Code.InvalidArgument });
  });
});

describe("whether it is served", () => {
  const list: Question = { case: "listServices", value: "" };

  test("by default, but not in production", async () => {
    vi.stubEnv("NODE_ENV", "production");
    const production = await serve();
    await expect(production(list)).rejects.toMatchObject({ code: Code.Unimplemented });
    vi.stubEnv("NODE_ENV", undefined);
    const development = await serve();
    expect(await development(list)).toHaveLength(1);
  });

  test("as the option says", async () => {
    vi.stubEnv("NODE_ENV", "production");
    const on = await serve({ reflection: true });
    expect(await on(list)).toHaveLength(1);
    vi.stubEnv("NODE_ENV", "development");
    const off = await serve({ reflection: false });
    await expect(off(list)).rejects.toMatchObject({ code: Code.Unimplemented });
    expect(() => createServer({ routes: () => undefined, reflection: "yes" as unknown as boolean })).toThrow(
      "reflection must be true or false, not yes",
    );
  });

  test("to those only who may connect and call", async () => {
    const authenticate: ServerOptions["authenticate"] = ({ credentials }) => {
      if (credentials !== "secret") throw new RpcError("who are you?", Code.Unauthenticated);
      return { id: "ada" };
    };
    const stranger = await serve({ authenticate }, "wrong");
    await expect(stranger(list)).rejects.toMatchObject({ code: Code.Unauthenticated });
    const friend = await serve({ authenticate }, "secret");
    expect(await friend(list)).toHaveLength(1);
    const guarded = await serve({
      interceptors: [
        (next) => (request) => {
          if (request.service.typeName.startsWith("grpc.reflection."))
            throw new RpcError("not for you", Code.PermissionDenied);
          return next(request);
        },
      ],
    });
    await expect(guarded(list)).rejects.toMatchObject({ code: Code.PermissionDenied });
  });

  test("a service of that name of the user's takes its place", async () => {
    const ask = await serve({
      routes: (router) =>
        router.service(ServerReflection, {
          async *serverReflectionInfo() {
            yield { validHost: "mine" };
          },
        }),
    });
    expect((await ask(list))[0]?.validHost).toBe("mine");
  });
});
