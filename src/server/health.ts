import type { IncomingMessage, ServerResponse } from "node:http";
import {
  Health as HealthService,
  HealthCheckResponse_ServingStatus as Status,
} from "../../gen/grpc/health/v1/health_pb.js";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { HandlerContext } from "../rpc/context.js";
import type { Router, RouteTable } from "../rpc/router.js";

/** Whether services can take calls, for load balancers and probes. */
export interface Health {
  /** Whether the server takes calls: it listens or is attached, and neither drains nor is closed. */
  readonly ready: boolean;
  /**
   * Says whether a service can take calls, by its full name; `""` for the server as a whole. Services that are served count
   * as serving until something else is said.
   */
  set(service: string, serving: boolean): void;
}

/** What readiness and the service `grpc.health.v1.Health` go by. */
export class HealthState implements Health {
  readonly #services = new Map<string, boolean>();
  readonly #watchers = new Set<() => void>();
  #phase: "idle" | "serving" | "draining" | "closed" = "idle";
  #broker = true;

  get ready(): boolean {
    return this.#phase === "serving" && this.#broker && this.#services.get("") !== false;
  }

  set(service: string, serving: boolean): void {
    if (typeof service !== "string" || typeof serving !== "boolean")
      throw new TypeError(
        `health.set() takes a service's name and a boolean, not ${String(service)}, ${String(serving)}`,
      );
    this.#services.set(service, serving);
    this.#changed();
  }

  /** The server has come further in its life. */
  enter(phase: "serving" | "draining" | "closed"): void {
    if (phase === "serving" && this.#phase !== "idle") return;
    this.#phase = phase;
    this.#changed();
  }

  /** Whether topics, and other nodes, can be reached. */
  brokerReady(ready: boolean): void {
    this.#broker = ready;
    this.#changed();
  }

  /** Adds the names of what is served. */
  know(routes: RouteTable): void {
    for (const { method } of routes.values()) {
      const { typeName } = method.parent;
      if (!this.#services.has(typeName)) this.#services.set(typeName, true);
    }
  }

  /** Routes for the service, unless the user serves it. */
  readonly routes = (router: Router): void => {
    router.service(HealthService, {
      check: ({ service }) => {
        const status = this.#status(service);
        if (status === Status.SERVICE_UNKNOWN) throw new RpcError(`${service} is not known`, Code.NotFound);
        return { status };
      },
      watch: ({ service }, context) => this.#watch(service, context),
    });
  };

  /**
   * Answers `/healthz` (200 while the process lives) and `/readyz` (200, or 503 when no calls should come).
   *
   * @returns whether the request was for one of them
   */
  readonly answer = (request: IncomingMessage, response: ServerResponse): boolean => {
    const { url = "", method } = request;
    const path = url.split("?", 1)[0];
    if (path !== "/healthz" && path !== "/readyz") return false;
    const good = path === "/healthz" || this.ready;
    const read = method === "GET" || method === "HEAD";
    const headers = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" };
    response.writeHead(read ? (good ? 200 : 503) : 405, read ? headers : { ...headers, allow: "GET, HEAD" });
    response.end(method === "HEAD" ? undefined : read ? (good ? "ok\n" : `${this.#why}\n`) : "GET only\n");
    return true;
  };

  get #why(): string {
    return this.#phase === "serving" && !this.#broker ? "the broker cannot be reached" : this.#phase;
  }

  #status(service: string): Status {
    const serving = this.#services.get(service);
    if (service !== "" && serving === undefined) return Status.SERVICE_UNKNOWN;
    const whole = service !== "" || this.#broker;
    return this.#phase === "serving" && whole && serving !== false ? Status.SERVING : Status.NOT_SERVING;
  }

  async *#watch(service: string, { signal }: HandlerContext): AsyncGenerator<{ status: Status }> {
    let last: Status | undefined;
    while (!signal.aborted) {
      const status = this.#status(service);
      if (status !== last) yield { status };
      last = status;
      // A drain waits for calls in flight, and this one would never end.
      if (this.#phase === "draining" || this.#phase === "closed") return;
      if (this.#status(service) !== status) continue;
      await new Promise<void>((resolve) => {
        const done = () => {
          this.#watchers.delete(done);
          signal.removeEventListener("abort", done);
          resolve();
        };
        this.#watchers.add(done);
        signal.addEventListener("abort", done);
      });
    }
  }

  #changed(): void {
    for (const wake of [...this.#watchers]) wake();
  }
}
