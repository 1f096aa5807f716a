import type { DescMethod } from "@bufbuild/protobuf";
import { methodInfo } from "../rpc/method-info.js";

/** A call is a frame of a connection and has no URL; interceptors and handlers that look for the method in one find it. */
export const BASE_URL = "https://hawser";

/** What `request.url` says: the base URL, the service and the method. */
export function methodUrl(baseUrl: string, method: DescMethod): string {
  return `${baseUrl.replace(/\/$/, "")}/${methodInfo(method).name}`;
}
