import type { AddressInfo, Server } from "node:net";

/** An application that runs, as the tests of these examples need it. */
export interface Running {
  readonly port: number;
  /** Ends it as SIGTERM would: nobody is cut off who is done in time. */
  stop(): Promise<void>;
}

/** Listens on this machine; gives the port. */
export function listening(http: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    http.once("error", reject);
    http.listen(port, "127.0.0.1", () => resolve((http.address() as AddressInfo).port));
  });
}

/** Stops listening; resolves when the last connection is gone. */
export function closed(http: Server): Promise<void> {
  return new Promise((resolve) => void http.close(() => resolve()));
}
