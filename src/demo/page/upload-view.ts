import type { MessageInitShape } from "@bufbuild/protobuf";
import type { UploadRequestSchema } from "../../../gen/hawser/demo/v1/host_pb.js";
import { bytes, count, hex, time } from "../format.js";
import type { HostClient } from "../host-client.js";
import { element } from "./dom.js";

/** Browsers hash a file only as a whole, in memory. */
const MAX_BYTES = 512 * 1024 * 1024;
const PIECE_BYTES = 128 * 1024;

/** Uploads each file that the user chooses, and says whether it arrived whole. */
export function offerUpload(client: HostClient): void {
  const input = element<HTMLInputElement>("file");
  const progress = element<HTMLProgressElement>("progress");
  const verdict = element("verdict");
  input.addEventListener("change", async () => {
    const file = input.files?.[0];
    if (file === undefined) return;
    input.disabled = true;
    progress.hidden = false;
    verdict.textContent = `${file.name}: ${bytes(file.size)} on their way`;
    try {
      verdict.textContent = await upload(client, file, (share) => {
        progress.value = share;
      });
    } catch (error) {
      verdict.textContent = error instanceof Error ? error.message : String(error);
    } finally {
      input.disabled = false;
      progress.hidden = true;
      input.value = "";
    }
  });
}

async function upload(client: HostClient, file: File, onShare: (share: number) => void): Promise<string> {
  if (file.size > MAX_BYTES) throw new Error(`${file.name} is too large to be hashed here`);
  const begin = performance.now();
  const answer = await client.upload(pieces(file, onShare));
  const took = time(performance.now() - begin);
  const sha256 = hex(new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer())));
  const whole = sha256 === hex(answer.sha256) && BigInt(file.size) === answer.size;
  const outcome = whole ? `arrived whole in ${took}` : "did NOT arrive whole";
  return `${file.name}: ${count(answer.size)} bytes ${outcome}. SHA-256 ${sha256}`;
}

async function* pieces(
  file: File,
  onShare: (share: number) => void,
): AsyncGenerator<MessageInitShape<typeof UploadRequestSchema>> {
  // An empty file, too, needs a message to carry its name.
  for (let offset = 0; offset === 0 || offset < file.size; offset += PIECE_BYTES) {
    const data = new Uint8Array(await file.slice(offset, offset + PIECE_BYTES).arrayBuffer());
    yield { name: offset === 0 ? file.name : "", offset: BigInt(offset), data };
    onShare(file.size === 0 ? 1 : Math.min(1, (offset + data.length) / file.size));
  }
}
