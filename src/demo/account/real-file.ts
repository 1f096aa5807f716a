import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { UploadRequestSchema } from "../../../gen/hawser/demo/v1/host_pb.js";

/** A file of this machine, to be uploaded. */
export interface RealFile {
  readonly path: string;
  readonly name: string;
  readonly size: number;
}

/**
 * The largest of the files that the running program was loaded from: the Node.js executable or, where that is only
 * a small starter, the library that it loads. Some 100 MB on every machine.
 */
export async function findRealFile(): Promise<RealFile> {
  // Without this, the report looks up the names of all peers, which takes long on a machine without network.
  Object.assign(process.report, { excludeNetwork: true });
  const report = process.report.getReport() as { readonly sharedObjects?: readonly string[] };
  const paths = [process.execPath, ...(report.sharedObjects ?? [])];
  const files = await Promise.all(
    paths.map(async (path) => {
      // Some entries are no files but parts of the kernel, such as linux-vdso.
      const found = await stat(path).catch(() => undefined);
      return { path, name: basename(path), size: found?.isFile() === true ? found.size : 0 };
    }),
  );
  const largest = files.reduce((a, b) => (b.size > a.size ? b : a));
  if (largest.size === 0) throw new Error(`cannot read the running program: ${process.execPath}`);
  return largest;
}

/** SHA-256 of a file in hexadecimal, read apart from the upload so that both cannot share a mistake. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest("hex");
}

/** Size of the pieces of an upload. */
export const PIECE_BYTES: number = 128 * 1024;

/** A file as the requests of an Upload. `onSent` learns how many bytes were handed over, after each piece. */
export async function* uploadRequests(
  file: RealFile,
  onSent?: (bytes: number) => void,
): AsyncGenerator<MessageInitShape<typeof UploadRequestSchema>> {
  let offset = 0;
  for await (const piece of createReadStream(file.path, { highWaterMark: PIECE_BYTES })) {
    const data = piece as Buffer;
    yield { name: offset === 0 ? file.name : "", offset: BigInt(offset), data };
    offset += data.length;
    onSent?.(offset);
  }
}
