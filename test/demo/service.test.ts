import { createHash } from "node:crypto";
import { appendFileSync } from "node:fs";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type TailRequest,
  TailRequestSchema,
  type TailResponseSchema,
  TailState,
  UploadRequestSchema,
  WatchRequestSchema,
} from "../../gen/hawser/demo/v1/host_pb.js";
import { uploadRequests } from "../../src/demo/account/real-file.js";
import { createGate, type Gate } from "../../src/demo/gate.js";
import { createSampler } from "../../src/demo/host/sampler.js";
import { growLog, openLog } from "../../src/demo/service/log-file.js";
import { tail } from "../../src/demo/service/tail.js";
import { receiveUpload } from "../../src/demo/service/upload.js";
import { watch } from "../../src/demo/service/watch.js";
import { Code, RpcError } from "../../src/index.js";

let folder = "";
let files = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "hawser-test-"));
});

afterAll(() => rm(folder, { recursive: true }));

async function newFile(text: string | Buffer): Promise<string> {
  files += 1;
  const path = join(folder, `file-${files}`);
  await writeFile(path, text);
  return path;
}

type Command = MessageInitShape<typeof TailRequestSchema>["command"];

const START: Command = { case: "start", value: { log: "log" } };
const PAUSE: Command = { case: "pause", value: {} };
const RESUME: Command = { case: "resume", value: {} };
const STOP: Command = { case: "stop", value: {} };

/** Commands, with waits between them. */
async function* script(...steps: (Command | Promise<void>)[]): AsyncGenerator<TailRequest> {
  for (const step of steps) {
    if (step instanceof Promise) await step;
    else yield create(TailRequestSchema, { command: step! });
  }
}

/** Runs a Tail call and writes down what comes: lines as their text, states by name with the last line. */
async function record(
  path: string,
  requests: AsyncGenerator<TailRequest>,
  on: (event: string) => void = () => undefined,
): Promise<string[]> {
  const events: string[] = [];
  for await (const response of tail(requests, new AbortController().signal, new Map([["log", path]]))) {
    events.push(tell(response));
    on(events.at(-1)!);
  }
  return events;
}

function tell({ event }: MessageInitShape<typeof TailResponseSchema>): string {
  if (event?.case === "line") return `${event.value.number}:${event.value.text}`;
  return event?.case === "status" ? `${TailState[event.value.state!]} ${event.value.afterLine}` : "nothing";
}

describe("Tail", () => {
  test("sends all lines up to the stop, even those that nobody had asked for yet", async () => {
    const path = await newFile("a\n\nb\nnot yet a line");
    expect(await record(path, script(START, STOP))).toEqual(["STARTED 0", "1:a", "2:", "3:b", "STOPPED 3"]);
    const stop = createGate();
    const following = record(path, script(START, stop.opened, STOP), (event) => {
      if (event !== "3:b") return;
      // Written in the moment of the stop: it is there, and so it must come.
      appendFileSync(path, "\nc\n");
      stop.open();
    });
    expect((await following).slice(-3)).toEqual(["4:not yet a line", "5:c", "STOPPED 5"]);
  });

  test("sends nothing while paused, and goes on where it was", async () => {
    const path = await newFile("a\nb\n");
    const [read, paused] = [createGate(), createGate()];
    const resume = paused.opened.then(async () => {
      await appendFile(path, "c\nd\n");
      await delay(150);
    });
    const gates: Record<string, Gate> = { "2:b": read, "PAUSED 2": paused };
    const events = await record(path, script(START, read.opened, PAUSE, resume, RESUME, STOP), (event) =>
      gates[event]?.open(),
    );
    expect(events.slice(0, 4)).toEqual(["STARTED 0", "1:a", "2:b", "PAUSED 2"]);
    expect(events.slice(-3)).toEqual(["3:c", "4:d", "STOPPED 4"]);
  });

  test("begins a number of lines before the end", async () => {
    const path = await newFile(Array.from({ length: 10_000 }, (_, index) => `line ${index + 1}\n`).join(""));
    const from = (lastLines: number) => script({ case: "start", value: { log: "log", lastLines } }, STOP);
    expect(await record(path, from(2))).toEqual([
      "STARTED 9998",
      "9999:line 9999",
      "10000:line 10000",
      "STOPPED 10000",
    ]);
    expect(await record(path, from(0))).toEqual(["STARTED 10000", "STOPPED 10000"]);
    expect(await record(path, from(20_000))).toHaveLength(10_002);
  });

  test("the end of the requests is a stop", async () => {
    expect(await record(await newFile("a\n"), script(START))).toEqual(["STARTED 0", "1:a", "STOPPED 1"]);
  });

  test.each<[string, Command[], Code]>([
    ["an unknown name", [{ case: "start", value: { log: "../etc/passwd" } }], Code.NotFound],
    ["no command at all", [], Code.InvalidArgument],
    ["another command first", [PAUSE], Code.InvalidArgument],
    ["a second start", [START, START], Code.InvalidArgument],
  ])("%s ends the call with the right code", async (_, commands, code) => {
    const path = await newFile("");
    await expect(record(path, script(...commands, delay(500)))).rejects.toMatchObject({ code });
  });

  test("a cancelled call ends even while it is paused", async () => {
    const cancel = new AbortController();
    const never = new Promise<void>(() => undefined);
    const path = await newFile("");
    const call = tail(script(START, PAUSE, never), cancel.signal, new Map([["log", path]]));
    expect(tell((await call.next()).value)).toBe("STARTED 0");
    expect(tell((await call.next()).value)).toBe("PAUSED 0");
    const next = call.next();
    cancel.abort(new RpcError("gone", Code.Canceled));
    await expect(next).rejects.toMatchObject({ code: Code.Canceled });
  });

  test("characters survive the border between two reads", async () => {
    const text = "é€𝄞".repeat(20_000);
    const log = await openLog(await newFile(`${text}\n${text}\n`));
    const lines: string[] = [];
    while (lines.length < 2) lines.push(...(await log.read()).map((line) => line.text));
    await log.close();
    expect(lines).toEqual([text, text]);
  });

  test("a log grows until it is stopped, and by whole lines only", async () => {
    const path = join(folder, "growing");
    const log = await growLog(path, 1, (number) => Promise.resolve(`line ${number}`));
    while (log.lines < 5) await delay(2);
    await log.stop();
    const lines = (await readFile(path, "utf8")).split("\n");
    expect(lines.pop()).toBe("");
    expect(lines).toEqual(Array.from({ length: log.lines }, (_, index) => `line ${index + 1}`));
  });
});

describe("Upload", () => {
  async function* pieces(...list: MessageInitShape<typeof UploadRequestSchema>[]) {
    for (const piece of list) yield create(UploadRequestSchema, piece);
  }
  const data = (text: string) => new TextEncoder().encode(text);

  test("hashes a real file", async () => {
    const body = Buffer.alloc(300_001, "abc");
    const path = await newFile(body);
    const sent: number[] = [];
    const file = { path, name: "file", size: body.length };
    async function* requests() {
      for await (const request of uploadRequests(file, (bytes) => sent.push(bytes))) {
        yield create(UploadRequestSchema, request);
      }
    }
    const answer = await receiveUpload(requests());
    expect(answer).toMatchObject({ name: "file", size: 300_001n, messages: 3n });
    expect(Buffer.from(answer.sha256)).toEqual(createHash("sha256").update(body).digest());
    expect(sent.at(-1)).toBe(body.length);
  });

  test.each([
    [
      "a lost piece",
      pieces({ name: "f", data: data("ab") }, { offset: 4n, data: data("ef") }),
      Code.DataLoss,
    ],
    ["a doubled piece", pieces({ name: "f", data: data("ab") }, { data: data("ab") }), Code.DataLoss],
    ["a path", pieces({ name: "../f" }), Code.InvalidArgument],
    ["no name", pieces({ data: data("ab") }), Code.InvalidArgument],
    ["nothing", pieces(), Code.InvalidArgument],
  ])("%s is refused", async (_, requests, code) => {
    await expect(receiveUpload(requests)).rejects.toMatchObject({ code });
  });
});

describe("Watch", () => {
  const sampler = createSampler();

  test("numbers its readings and ends by itself", async () => {
    const request = create(WatchRequestSchema, { count: 5, interval: durationFromMs(30) });
    const numbers: bigint[] = [];
    for await (const { number } of watch(request, new AbortController().signal, sampler)) {
      numbers.push(number as bigint);
    }
    expect(numbers).toEqual([1n, 2n, 3n, 4n, 5n]);
  });

  test("ends at once when it is cancelled", async () => {
    const cancel = new AbortController();
    const request = create(WatchRequestSchema, { interval: durationFromMs(1e9) });
    const readings = watch(request, cancel.signal, sampler);
    await readings.next();
    const next = readings.next();
    cancel.abort(new RpcError("gone", Code.Canceled));
    await expect(next).rejects.toThrow();
  });
});
