// What the pages of the tests are made of: the client as applications get it, and the services that they call.
import { EchoService } from "../../../gen/hawser/test/v1/echo_pb.js";
import { TopicService } from "../../../gen/hawser/test/v1/topics_pb.js";
import { Code, type Connection, connect, createClient, RpcError } from "../../../src/client/browser.js";
import { exchange } from "../../support/echo.js";

/** What tests find in a page, as `kit`. */
export interface Kit {
  readonly connect: typeof connect;
  readonly createClient: typeof createClient;
  readonly Code: typeof Code;
  readonly RpcError: typeof RpcError;
  readonly EchoService: typeof EchoService;
  readonly TopicService: typeof TopicService;
  readonly exchange: typeof exchange;
  /** Of the server that the page comes from. */
  readonly url: string;
  /** For what a test keeps from one step to the next. */
  readonly kept: { connection?: Connection; events: string[]; numbers: number[]; done?: Promise<unknown> };
}

declare global {
  var kit: Kit;
}

globalThis.kit = {
  connect,
  createClient,
  Code,
  RpcError,
  EchoService,
  TopicService,
  exchange,
  url: `ws://${location.host}/rpc`,
  kept: { events: [], numbers: [] },
};
