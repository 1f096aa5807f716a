import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import {
  type UploadRequest,
  type UploadResponse,
  UploadResponseSchema,
} from "../../../gen/hawser/demo/v1/host_pb.js";
import { Code, RpcError } from "../../index.js";

/** Longest file name that is taken. */
const MAX_NAME = 255;

/**
 * Answers an Upload call: hashes what arrives, in order, and keeps none of it.
 *
 * Fails with DATA_LOSS when a piece does not begin where the one before ended: then something was lost or doubled.
 */
export async function receiveUpload(requests: AsyncIterable<UploadRequest>): Promise<UploadResponse> {
  const hash = createHash("sha256");
  let name: string | undefined;
  let size = 0n;
  let messages = 0n;
  for await (const request of requests) {
    name ??= checkName(request.name);
    if (request.offset !== size) {
      throw new RpcError(`a piece at byte ${request.offset} came when byte ${size} was due`, Code.DataLoss);
    }
    hash.update(request.data);
    size += BigInt(request.data.length);
    messages += 1n;
  }
  if (name === undefined) throw new RpcError("an Upload without a message has no name", Code.InvalidArgument);
  return create(UploadResponseSchema, { name, size, messages, sha256: new Uint8Array(hash.digest()) });
}

function checkName(name: string): string {
  if (name === "" || name.length > MAX_NAME || /[/\\\0]/.test(name)) {
    throw new RpcError("the first message must carry a file name, not a path", Code.InvalidArgument);
  }
  return name;
}
