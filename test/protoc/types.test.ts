// What the compiler says about the generated interfaces; `npm run types` is where it fails.
import { describe, expectTypeOf, it } from "vitest";
import {
  createEchoServiceClient,
  type EchoRequest,
  type EchoService,
  type EchoServiceClient,
  type EchoServiceHandlers,
  echoServiceRoutes,
} from "../../gen/hawser/test/v1/echo_hawser.js";
import {
  type NoteSchema,
  type TopicService,
  type TopicServiceHandlers,
  topicServiceRoutes,
} from "../../gen/hawser/test/v1/topics_hawser.js";
import type { Client, Router, Routes, ServiceImpl, Topic, Transport } from "../../src/index.js";
import type { ServerOptions } from "../../src/server/options.js";
import { Notes } from "../support/topics.js";

describe("the generated interfaces", () => {
  it("are those that createClient and router.service have for the service", () => {
    expectTypeOf<Client<typeof EchoService>>().toExtend<EchoServiceClient>();
    expectTypeOf<EchoServiceClient>().toExtend<Client<typeof EchoService>>();
    expectTypeOf<ServiceImpl<typeof EchoService>>().toExtend<EchoServiceHandlers>();
    expectTypeOf<EchoServiceHandlers>().toExtend<ServiceImpl<typeof EchoService>>();
    expectTypeOf<ServiceImpl<typeof TopicService>>().toExtend<TopicServiceHandlers>();
    expectTypeOf<TopicServiceHandlers>().toExtend<ServiceImpl<typeof TopicService>>();
    expectTypeOf(createEchoServiceClient).parameter(0).toEqualTypeOf<Transport>();
  });

  it("give routes for a server, and within other routes", () => {
    expectTypeOf(echoServiceRoutes).returns.toEqualTypeOf<Routes>();
    expectTypeOf<ReturnType<typeof echoServiceRoutes>>().toExtend<NonNullable<ServerOptions["routes"]>>();
    const both = (router: Router): void => {
      echoServiceRoutes({})(router);
      topicServiceRoutes({ watch: (request) => Notes(request.name) })(router);
    };
    expectTypeOf(both).toExtend<Routes>();
  });

  it("let handlers return topics, and iterables, and nothing else", () => {
    type Watch = ReturnType<TopicServiceHandlers["watch"]>;
    expectTypeOf<Topic<typeof NoteSchema>>().toExtend<Watch>();
    expectTypeOf<Promise<Topic<typeof NoteSchema>>>().toExtend<Watch>();
    expectTypeOf<AsyncGenerator<{ key: string }>>().toExtend<Watch>();
    expectTypeOf<{ key: string }>().not.toExtend<Watch>();
    expectTypeOf<AsyncGenerator<{ key: number }>>().not.toExtend<Watch>();
  });

  it("are what a class implements", () => {
    class Echo implements Pick<EchoServiceHandlers, "echo"> {
      echo({ name }: EchoRequest): { name: string } {
        return { name };
      }
    }
    expectTypeOf(new Echo()).toExtend<Partial<EchoServiceHandlers>>();
    // @ts-expect-error A handler must give what the schema says.
    echoServiceRoutes({ echo: () => ({ name: 1 }) });
  });
});
