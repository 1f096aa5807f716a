/**
 * `BenchClient.echo` for contenders whose call gives a promise.
 *
 * @param call Makes a call with this id.
 * @param accept Whether an answer is the right one.
 * @throws Error when one is not.
 */
export async function echoInLoops<Answer>(
  call: (id: number) => Promise<Answer>,
  accept: (answer: Answer, id: number) => boolean,
  calls: number,
  depth: number,
  times: Float64Array | undefined,
): Promise<void> {
  let started = 0;
  const loop = async () => {
    while (started < calls) {
      const id = started++;
      const start = times === undefined ? 0 : performance.now();
      if (!accept(await call(id), id)) throw new Error("another message came back");
      if (times !== undefined) times[id] = performance.now() - start;
    }
  };
  await Promise.all(Array.from({ length: Math.min(depth, calls) }, loop));
}

/**
 * The requests of a stream that gives every message back: `depth` of them on their way at any time.
 *
 * @param make Makes the message with this id.
 */
export function windowed<Message>(
  make: (id: number) => Message,
  count: number,
  depth: number,
): Windowed<Message> {
  let sent = 0;
  let received = 0;
  let wake: (() => void) | undefined;
  async function* requests() {
    while (sent < count) {
      while (sent - received >= depth)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      yield make(sent++);
    }
  }
  return {
    requests: requests(),
    get expected() {
      return received;
    },
    onReply() {
      received++;
      wake?.();
      wake = undefined;
    },
  };
}

/** See {@link windowed}. */
export interface Windowed<Message> {
  readonly requests: AsyncGenerator<Message, void>;
  /** Id of the reply that must come next; after the last one, how many have come. */
  readonly expected: number;
  /** A reply has come, so that another message may go. */
  onReply(): void;
}

/** Opens many at a time, no more than the backlog of a listening socket has room for. */
export async function inGroups<Item>(
  count: number,
  size: number,
  open: (index: number) => Promise<Item>,
): Promise<Item[]> {
  const items: Item[] = [];
  for (let first = 0; first < count; first += size) {
    const group = Array.from({ length: Math.min(size, count - first) }, (_, index) => open(first + index));
    items.push(...(await Promise.all(group)));
  }
  return items;
}
