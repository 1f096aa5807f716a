// A Connect service and a Connect client that know nothing of Hawser. The client talks in turns: each question comes of the
// answer before, which takes a call that goes both ways at the same time.
import { Code, ConnectError, type ConnectRouter, createClient, type Transport } from "@connectrpc/connect";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";

export function routes(router: ConnectRouter): void {
  router.service(EchoService, {
    echo({ id }, { requestHeader, responseHeader }) {
      responseHeader.set("x-heard", requestHeader.get("x-said") ?? "");
      if (id === 0n) throw new ConnectError("no id", Code.InvalidArgument);
      return { id };
    },
    async *converse(requests) {
      for await (const { number } of requests) yield { number: number * 2 };
    },
  });
}

/** All that a client sees of a unary call, an error and a dialogue. */
export async function dialogue(transport: Transport): Promise<unknown> {
  const client = createClient(EchoService, transport);
  const seen: unknown[] = [];
  const options = {
    headers: { "x-said": "hello" },
    onHeader: (headers: Headers) => seen.push(headers.get("x-heard")),
  };
  seen.push(String((await client.echo({ id: 7n }, options)).id));
  await client.echo({}).catch((error: unknown) => {
    seen.push(error instanceof ConnectError ? [error.code, error.rawMessage] : "no ConnectError");
  });

  let answer = (_number: number): void => undefined;
  async function* questions() {
    for (let number = 1; number < 100; ) {
      const answered = new Promise<number>((done) => {
        answer = done;
      });
      yield { number };
      number = await answered;
    }
  }
  for await (const { number } of client.converse(questions())) {
    seen.push(number);
    answer(number);
  }
  return seen;
}
