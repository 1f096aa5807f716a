import type {
  DescMessage,
  DescMethod,
  DescMethodStreaming,
  DescMethodUnary,
  Message,
} from "@bufbuild/protobuf";
import { SingleMessage } from "../../rpc/client.js";
import type { CallOptions, Transport } from "../../rpc/transport.js";

/** Makes one call to its end. */
export type MakeCall = (transport: Transport, onMessage: () => void) => Promise<void>;

/**
 * How calls of a method are made, whatever its kind. Methods that take one message take the given ones in turn; those that
 * take a stream get all of them in each call.
 *
 * @param messages at least one, for methods that take one
 */
export function callsOf(method: DescMethod, messages: readonly Message[], options: CallOptions): MakeCall {
  let turn = 0;
  const next = () => {
    const message = messages[turn];
    turn = (turn + 1) % messages.length;
    return message as Message;
  };
  if (method.methodKind === "unary") {
    const unary = method as DescMethodUnary<DescMessage, DescMessage>;
    return async (transport) => {
      await transport.unary(unary, next(), options);
    };
  }
  const streaming = method as DescMethodStreaming<DescMessage, DescMessage>;
  const takesStream = method.methodKind !== "server_streaming";
  return async (transport, onMessage) => {
    const input = takesStream ? each(messages) : new SingleMessage(next());
    const { message } = await transport.stream(streaming, input, options);
    for await (const _ of message) onMessage();
  };
}

async function* each(messages: readonly Message[]): AsyncGenerator<Message> {
  yield* messages;
}
