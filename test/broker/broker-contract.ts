// What every broker has to do: one suite, run over each of them.
import { describe, expect, test } from "vitest";
import type { Broker, Feed, FeedEvents, Slice, TopicSpec } from "../../src/broker/broker.js";
import type { FeedGap, Position, Publication } from "../../src/broker/publication.js";
import { until } from "../support/until.js";

/** Brokers that have started, on the same messages: the same one twice, where there is one only. */
export interface BrokerPair extends AsyncDisposable {
  readonly publisher: Broker;
  readonly follower: Broker;
  /** Lets time pass, as the brokers see it. */
  pass(ms: number): Promise<void>;
}

/** Notes what a feed tells. */
export class Heard implements FeedEvents {
  readonly publications: Publication[] = [];
  readonly gaps: { readonly position: Position; readonly reason: FeedGap }[] = [];
  readonly live: boolean[] = [];

  onPublication(publication: Publication): void {
    this.publications.push(publication);
  }

  onGap(position: Position, reason: FeedGap): void {
    this.gaps.push({ position, reason });
  }

  onLive(live: boolean): void {
    this.live.push(live);
  }

  /** What was published, as text. */
  get texts(): string[] {
    return this.publications.map(textOf);
  }

  get offsets(): number[] {
    return this.publications.map(({ offset }) => offset);
  }

  /** Resolves when so many publications have come. */
  async atLeast(count: number): Promise<this> {
    await until(() => this.publications.length >= count);
    return this;
  }
}

/** The payload of a publication as text. */
export function textOf({ payload }: Publication): string {
  return Buffer.from(payload).toString();
}

let topics = 0;

/** A topic that nobody has used. */
export function topic(change: Partial<TopicSpec> = {}): TopicSpec {
  return {
    name: `topic ${process.pid}.${++topics}`,
    history: { size: 1_000, ttlMs: 60_000 },
    conflates: false,
    ...change,
  };
}

/** Publishes texts at once, and resolves with their offsets. */
export async function publishAll(
  broker: Broker,
  spec: TopicSpec,
  texts: readonly string[],
): Promise<number[]> {
  const published = await Promise.all(texts.map((text) => broker.publish(spec, Buffer.from(text), "")));
  return published.map(({ offset }) => offset);
}

/** `text0`, `text1`, … */
export function numbered(count: number, text = ""): string[] {
  return Array.from({ length: count }, (_, index) => `${text}${index}`);
}

const ALL = 1_000_000;

async function readAll(feed: Feed, after: number): Promise<Slice> {
  return feed.read(after, ALL, ALL);
}

/** Names and keys that a broker could take for something else. */
const HOSTILE = [
  "a.b",
  "a",
  "b",
  "*",
  ">",
  "a.*",
  "a.>",
  " ",
  "a b",
  ".",
  "a.",
  "..",
  "$JS.API.STREAM.LIST",
  "_INBOX.a",
  "a\r\nPUB b 1\r\nx",
  "é",
  "e\u0301",
  "\u{1f680}",
  "=",
  "=2E",
  "x".repeat(1_000),
  `${"x".repeat(999)}y`,
];

/** Runs the suite over a broker. `create` is called for each test. */
export function brokerContract(name: string, create: () => Promise<BrokerPair>): void {
  describe(name, () => {
    for (const history of [undefined, { size: 1_000, ttlMs: 60_000 }]) {
      const what = history === undefined ? "without history" : "with history";

      test(`publications ${what} come once, in order, each behind the one before it`, async () => {
        await using pair = await create();
        const spec = topic({ history });
        const heard = new Heard();
        const feed = await pair.follower.follow(spec, heard);
        let previous = feed.position.offset;
        const { epoch } = feed.position;
        await publishAll(pair.publisher, spec, numbered(500));
        await heard.atLeast(500);
        expect(heard.texts).toEqual(numbered(500));
        for (const publication of heard.publications) {
          expect(publication.previous).toBe(previous);
          expect(publication.offset).toBeGreaterThan(previous);
          previous = publication.offset;
        }
        expect(feed.position).toEqual({ epoch, offset: previous });
        expect(heard.gaps).toEqual([]);
      });

      test(`a feed ${what} that is closed hears nothing more`, async () => {
        await using pair = await create();
        const spec = topic({ history });
        const [heard, other] = [new Heard(), new Heard()];
        const feed = await pair.follower.follow(spec, heard);
        await publishAll(pair.publisher, spec, ["before"]);
        await heard.atLeast(1);
        feed.close();
        const again = await pair.follower.follow(spec, other);
        await publishAll(pair.publisher, spec, ["after"]);
        await other.atLeast(1);
        expect(heard.texts).toEqual(["before"]);
        expect(other.texts).toEqual(["after"]);
        expect(again.position.offset).toBe(other.offsets[0]);
      });

      test(`topics ${what} do not mix, whatever their names`, async () => {
        await using pair = await create();
        const heard = HOSTILE.map(() => new Heard());
        const mark = `${Math.random()}`;
        const named = HOSTILE.map((hostile) =>
          topic({ history, name: hostile.length > 900 ? hostile : `${hostile}${mark}` }),
        );
        for (const [index, spec] of named.entries()) await pair.follower.follow(spec, heard[index] as Heard);
        await Promise.all(
          named.map((spec, index) => pair.publisher.publish(spec, Buffer.from(`${mark} ${index}`), "")),
        );
        for (const [index, { texts }] of (
          await Promise.all(heard.map((each) => each.atLeast(1)))
        ).entries()) {
          expect(texts).toEqual([`${mark} ${index}`]);
        }
      });

      test(`keys ${what} come as they are, and payloads of any size`, async () => {
        await using pair = await create();
        const spec = topic({ history });
        const heard = new Heard();
        await pair.follower.follow(spec, heard);
        const keys = ["", ...HOSTILE, " a ", "\ud800", "\0"];
        for (const key of keys) await pair.publisher.publish(spec, Buffer.from("x"), key);
        await pair.publisher.publish(spec, new Uint8Array(), "");
        await pair.publisher.publish(spec, new Uint8Array(900_000).fill(7), "");
        await heard.atLeast(keys.length + 2);
        expect(heard.publications.slice(0, keys.length).map(({ key }) => key)).toEqual(keys);
        expect(heard.publications.slice(keys.length).map(({ payload }) => payload.length)).toEqual([
          0, 900_000,
        ]);
        expect(heard.publications.at(-1)?.payload.every((byte) => byte === 7)).toBe(true);
      });
    }

    test("what is published without history and a follower is gone", async () => {
      await using pair = await create();
      const spec = topic({ history: undefined });
      await publishAll(pair.publisher, spec, ["lost"]);
      const heard = new Heard();
      const feed = await pair.follower.follow(spec, heard);
      await publishAll(pair.publisher, spec, ["heard"]);
      await heard.atLeast(1);
      expect(heard.texts).toEqual(["heard"]);
      const { position } = feed;
      expect(await feed.read(position.offset, 10, ALL)).toEqual({ publications: [], whole: true });
      expect((await feed.read(position.offset - 1, 10, ALL)).whole).toBe(false);
      expect(await feed.offsetBefore(3)).toBe(position.offset);
    });

    test("publishing resolves with the place in the history", async () => {
      await using pair = await create();
      const spec = topic();
      const heard = new Heard();
      const feed = await pair.follower.follow(spec, heard);
      const published = await Promise.all(
        numbered(20).map((text) => pair.publisher.publish(spec, Buffer.from(text), "")),
      );
      await heard.atLeast(20);
      expect(published.map(({ offset }) => offset)).toEqual(heard.offsets);
      expect(new Set(published.map(({ epoch }) => epoch))).toEqual(new Set([feed.position.epoch]));
    });

    test("one id is stored once, in each topic", async () => {
      await using pair = await create();
      const [spec, other] = [topic(), topic()];
      const heard = new Heard();
      await pair.follower.follow(spec, heard);
      const first = await pair.publisher.publish(spec, Buffer.from("a"), "", "id");
      const second = await pair.publisher.publish(spec, Buffer.from("b"), "", "id");
      await pair.publisher.publish(other, Buffer.from("c"), "", "id");
      const [third] = await publishAll(pair.publisher, spec, ["d"]);
      expect(second).toEqual(first);
      await heard.atLeast(2);
      expect(heard.texts).toEqual(["a", "d"]);
      expect(heard.offsets).toEqual([first.offset, third]);
      const feed = await pair.follower.follow(other, new Heard());
      const { publications } = await readAll(feed, (await feed.offsetBefore(1)) as number);
      expect(publications.map(textOf)).toEqual(["c"]);
    });

    for (const followed of ["before", "after"] as const) {
      /** A feed of a topic, begun before or after so much was published in it. */
      const filled = async (pair: BrokerPair, spec: TopicSpec, texts: readonly string[]) => {
        const heard = new Heard();
        const early = followed === "before" ? await pair.follower.follow(spec, heard) : undefined;
        const offsets = await publishAll(pair.publisher, spec, texts);
        if (early !== undefined) await heard.atLeast(texts.length);
        return { feed: early ?? (await pair.follower.follow(spec, heard)), offsets, heard };
      };

      test(`history is read behind an offset, followed ${followed} it was published`, async () => {
        await using pair = await create();
        const spec = topic();
        const { feed, offsets } = await filled(pair, spec, numbered(100));
        expect(feed.position.offset).toBe(offsets[99]);
        const rest = await readAll(feed, offsets[89] as number);
        expect(rest.whole).toBe(true);
        expect(rest.publications.map(textOf)).toEqual(numbered(100).slice(90));
        expect(rest.publications.map(({ offset }) => offset)).toEqual(offsets.slice(90));
        expect(rest.publications.slice(1).map(({ previous }) => previous)).toEqual(offsets.slice(90, 99));
        expect(await readAll(feed, offsets[99] as number)).toEqual({ publications: [], whole: true });

        const five = await feed.read(offsets[49] as number, 5, ALL);
        expect(five.whole).toBe(true);
        expect(five.publications.map(textOf)).toEqual(numbered(100).slice(50, 55));
        const bytes = await feed.read(offsets[49] as number, ALL, 6);
        expect(bytes.publications.map(textOf)).toEqual(["50", "51", "52"]);
        const one = await feed.read(offsets[49] as number, ALL, 1);
        expect(one.publications.map(textOf)).toEqual(["50"]);
      });

      test(`the newest lie behind an offset, followed ${followed} they were published`, async () => {
        await using pair = await create();
        const spec = topic();
        const { feed, offsets } = await filled(pair, spec, numbered(50));
        for (const count of [1, 7, 49]) {
          const after = await feed.offsetBefore(count);
          expect(after).toBe(offsets[50 - count - 1]);
          const { publications, whole } = await readAll(feed, after);
          expect(whole).toBe(true);
          expect(publications.map(textOf)).toEqual(numbered(50).slice(-count));
        }
        for (const count of [50, 51, 5_000, Number.MAX_SAFE_INTEGER]) {
          const { publications, whole } = await readAll(feed, await feed.offsetBefore(count));
          expect(whole).toBe(true);
          expect(publications.map(textOf)).toEqual(numbered(50));
        }
      });

      test(`more than the size is gone, and said to be, followed ${followed} it was published`, async () => {
        await using pair = await create();
        const spec = topic({ history: { size: 10, ttlMs: 60_000 } });
        const { feed, offsets } = await filled(pair, spec, numbered(25));
        const cut = await readAll(feed, offsets[3] as number);
        expect(cut.whole).toBe(false);
        expect(cut.publications.map(textOf)).toEqual(numbered(25).slice(15));
        expect(cut.publications[0]?.previous).toBeGreaterThan(offsets[3] as number);
        expect((await readAll(feed, offsets[13] as number)).whole).toBe(false);
        const whole = await readAll(feed, offsets[15] as number);
        expect(whole.whole).toBe(true);
        expect(whole.publications.map(textOf)).toEqual(numbered(25).slice(16));
        const kept = await readAll(feed, await feed.offsetBefore(100));
        expect(kept.publications.map(textOf)).toEqual(numbered(25).slice(15));
        expect(kept.whole).toBe(true);
      });

      test(`what is too old is gone, and said to be, followed ${followed} it was published`, async () => {
        await using pair = await create();
        const spec = topic({ history: { size: 1_000, ttlMs: 1_500 } });
        const old = await publishAll(pair.publisher, spec, ["a", "b"]);
        await pair.pass(2_000);
        const { feed, offsets } = await filled(pair, spec, ["c", "d"]);
        const cut = await readAll(feed, old[0] as number);
        expect(cut.publications.map(textOf)).toEqual(["c", "d"]);
        expect(cut.whole).toBe(false);
        const rest = await readAll(feed, offsets[0] as number);
        expect(rest.publications.map(textOf)).toEqual(["d"]);
        expect(rest.whole).toBe(true);
        await pair.pass(2_000);
        const gone = await readAll(feed, offsets[0] as number);
        expect(gone).toEqual({ publications: [], whole: false });
      });

      test(`of a topic that conflates the newest of each key is read, followed ${followed}`, async () => {
        await using pair = await create();
        const spec = topic({ conflates: true });
        const heard = new Heard();
        const early = followed === "before" ? await pair.follower.follow(spec, heard) : undefined;
        const published = [
          ["a", "1"],
          ["b", "2"],
          ["a", "3"],
          ["c", "4"],
          ["b", "5"],
        ].map(([key = "", text = ""]) => pair.publisher.publish(spec, Buffer.from(text), key));
        const offsets = (await Promise.all(published)).map(({ offset }) => offset);
        if (early !== undefined) await heard.atLeast(5);
        const feed = early ?? (await pair.follower.follow(spec, heard));
        const all = await readAll(feed, offsets[0] as number);
        expect(all.whole).toBe(true);
        expect(all.publications.map(textOf)).toEqual(["3", "4", "5"]);
        expect(all.publications.map(({ key }) => key)).toEqual(["a", "c", "b"]);
        const two = await feed.read(offsets[0] as number, 2, ALL);
        expect(two.publications.map(textOf)).toEqual(["3", "4"]);
        const last = await readAll(feed, offsets[3] as number);
        expect(last.publications.map(textOf)).toEqual(["5"]);
      });
    }

    test("nothing is told from within follow", async () => {
      await using pair = await create();
      const spec = topic();
      await publishAll(pair.publisher, spec, ["before"]);
      let feed: Feed | undefined;
      let early = 0;
      const heard = new Heard();
      const events: FeedEvents = {
        onPublication: (publication) => {
          if (feed === undefined) early++;
          heard.onPublication(publication);
        },
        onGap: () => early++,
        onLive: () => early++,
      };
      const publishing = publishAll(pair.publisher, spec, numbered(200));
      feed = await pair.follower.follow(spec, events);
      const { offset } = feed.position;
      const offsets = (await publishing).filter((each) => each > offset);
      await heard.atLeast(offsets.length);
      expect(heard.offsets).toEqual(offsets);
      expect(early).toBe(0);
    });

    test("an id, a key and a payload of the largest size do not keep anything from being published later", async () => {
      await using pair = await create();
      const spec = topic();
      const heard = new Heard();
      await pair.follower.follow(spec, heard);
      await pair.publisher.publish(spec, Buffer.from("a"), "", `${"\u{1f680}".repeat(50)}\r\n.*>`);
      await pair.publisher.publish(spec, Buffer.from("b"), "");
      expect((await heard.atLeast(2)).texts).toEqual(["a", "b"]);
    });
  });
}
