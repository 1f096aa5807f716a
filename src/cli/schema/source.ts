import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";
import { fromBinary, fromJsonString } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { messageOf, UsageError } from "../failure.js";

/** Larger schemas than this are none. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

/**
 * Files of a schema on disk: a `.proto` file, a folder of them or a module of buf, all three by way of `buf build`; else a
 * `FileDescriptorSet` (which images of buf are too) in binary or JSON, gzipped or not.
 *
 * @throws UsageError
 */
export function readSchema(path: string): FileDescriptorProto[] {
  let isFolder: boolean;
  try {
    isFolder = statSync(path).isDirectory();
  } catch (cause) {
    throw new UsageError(`--schema ${path} cannot be read: ${messageOf(cause)}`, { cause });
  }
  const bytes = isFolder || path.endsWith(".proto") ? buildWithBuf(path) : readFileSync(path);
  return descriptorSet(bytes, path);
}

function descriptorSet(bytes: Uint8Array, path: string): FileDescriptorProto[] {
  try {
    const plain = bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
    const text = Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength).toString("utf8");
    const { file } = /^\s*\{/.test(text)
      ? fromJsonString(FileDescriptorSetSchema, text, { ignoreUnknownFields: true })
      : fromBinary(FileDescriptorSetSchema, plain);
    if (file.length === 0 || file.some(({ name }) => name === ""))
      throw new Error("there are no files in it");
    return file;
  } catch (cause) {
    throw new UsageError(
      `--schema ${path} is no FileDescriptorSet, as "buf build -o schema.binpb" writes it: ${messageOf(cause)}`,
      { cause },
    );
  }
}

function buildWithBuf(path: string): Uint8Array {
  const [command, ...before] = findBuf();
  const built = spawnSync(command, [...before, "build", path, "-o", "-#format=binpb"], {
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  const { error, status, stdout, stderr } = built;
  if (error !== undefined && "code" in error && error.code === "ENOENT") {
    throw new UsageError(
      `--schema ${path}: reading .proto files takes buf, which is not here; install it (npm install -D @bufbuild/buf), or give a file that "buf build -o schema.binpb" or "protoc --include_imports --descriptor_set_out=schema.binpb" has written`,
    );
  }
  if (error !== undefined || status !== 0) {
    throw new UsageError(`--schema ${path}: buf cannot build it: ${error?.message ?? String(stderr).trim()}`);
  }
  return stdout;
}

/** The buf of the project in the current folder, else the one on the PATH. */
function findBuf(): readonly [string, ...string[]] {
  try {
    const require = createRequire(resolve("package.json"));
    const manifest = require.resolve("@bufbuild/buf/package.json");
    const { bin } = require(manifest) as { readonly bin: { readonly buf: string } };
    return [process.execPath, join(dirname(manifest), bin.buf)];
  } catch {
    return ["buf"];
  }
}
