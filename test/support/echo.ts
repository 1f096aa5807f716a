import { EchoService } from "../../gen/hawser/test/v1/echo_hawser.js";
import type { Client, Router, ServiceImpl } from "../../src/index.js";

/** How often the handlers ran, by kind and by the tag in their requests. */
export class Executions {
  readonly #counts = new Map<string, number>();

  add(kind: string, tag: string): void {
    const key = `${kind} ${tag}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  /** Executions of all four kinds with this tag. */
  of(tag: string): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const kind of ["echo", "repeat", "collect", "converse"])
      counts[kind] = this.#counts.get(`${kind} ${tag}`) ?? 0;
    return counts;
  }
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
export const bytesOf = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(value);

/** A well-behaved EchoService. Each handler counts itself when it begins, streams at their first message. */
export function echoHandlers(executions: Executions = new Executions()): ServiceImpl<typeof EchoService> {
  return {
    echo(request) {
      executions.add("echo", request.name);
      return { id: request.id, name: request.name, body: request.body };
    },
    async *repeat(request) {
      executions.add("repeat", text(request.body));
      for (let number = 1; number <= request.count; number++) yield { number, body: request.body };
    },
    async collect(requests) {
      const numbers: number[] = [];
      let bytes = 0n;
      for await (const request of requests) {
        if (numbers.length === 0) executions.add("collect", text(request.body));
        numbers.push(request.number);
        bytes += BigInt(request.body.length);
      }
      return { bytes, numbers };
    },
    async *converse(requests) {
      let begun = false;
      for await (const request of requests) {
        if (!begun) executions.add("converse", text(request.body));
        begun = true;
        yield { number: request.number, body: request.body };
      }
    },
  };
}

/** Routes of {@link echoHandlers}. */
export function echoRoutes(executions?: Executions): (router: Router) => void {
  return (router) => router.service(EchoService, echoHandlers(executions));
}

/** What one exchange of all four kinds gave. */
export interface ExchangeResult {
  readonly echo: { readonly id: bigint; readonly name: string };
  readonly repeated: readonly number[];
  readonly collected: readonly number[];
  readonly conversed: readonly number[];
}

/** What {@link exchange} must give. */
export function expectedResult(tag: string): ExchangeResult {
  return {
    echo: { id: 7n, name: tag },
    repeated: [1, 2, 3],
    collected: [1, 2, 3],
    conversed: [1, 2, 3],
  };
}

/** A small exchange of all four kinds, side by side. The bidirectional call waits for each answer before it goes on. */
export async function exchange(client: Client<typeof EchoService>, tag: string): Promise<ExchangeResult> {
  const body = bytesOf(tag);
  const echo = client.echo({ id: 7n, name: tag });
  const repeat = async () => {
    const numbers: number[] = [];
    for await (const { number } of client.repeat({ body, count: 3 })) numbers.push(number);
    return numbers;
  };
  const collect = async () => {
    async function* requests() {
      for (let number = 1; number <= 3; number++) yield { number, body };
    }
    return (await client.collect(requests())).numbers;
  };
  const converse = async () => {
    const numbers: number[] = [];
    let answered: () => void = () => undefined;
    async function* requests() {
      for (let number = 1; number <= 3; number++) {
        const answer = new Promise<void>((resolve) => {
          answered = resolve;
        });
        yield { number, body };
        await answer;
      }
    }
    for await (const { number } of client.converse(requests())) {
      numbers.push(number);
      answered();
    }
    return numbers;
  };
  const [{ id, name }, repeated, collected, conversed] = await Promise.all([
    echo,
    repeat(),
    collect(),
    converse(),
  ]);
  return { echo: { id, name }, repeated, collected, conversed };
}
