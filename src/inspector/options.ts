import { checkInteger, checkKeys } from "../base/check.js";
import type { HandlerContext, Identity } from "../rpc/context.js";

/** Options of `inspector`. */
export interface InspectorOptions {
  /**
   * Who may look: asked with the identity that `authenticate` of the server has found, for every call of the inspector's service,
   * and again each minute while one goes on. Whoever has no identity is turned away before that.
   *
   * `"loopback"`: whoever connects from this machine, with or without an identity. For development: it is refused where
   * `NODE_ENV` is `"production"`. A proxy on this machine that adds no headers makes everybody look as if they came from here.
   */
  readonly allow: ((identity: Identity, context: HandlerContext) => boolean | Promise<boolean>) | "loopback";
  /** Path of the page; not `/`, which would take every request. Default `/inspect`. */
  readonly path?: string;
  /**
   * Path of the server's WebSocket as browsers see it, where a proxy changes paths. Default: the one that the server serves.
   */
  readonly rpcPath?: string;
  /** Ended calls that are kept. Default 1,000. */
  readonly calls?: number;
  /** Samples that are kept, one for each second. Default 900: a quarter of an hour. */
  readonly samples?: number;
}

/** {@link InspectorOptions}, complete and checked. */
export interface InspectorSettings extends Required<Omit<InspectorOptions, "rpcPath">> {
  readonly rpcPath: string | undefined;
}

/**
 * Checks options and fills in the defaults.
 *
 * @throws TypeError, RangeError or Error that names the option.
 */
export function resolveInspectorOptions(options: InspectorOptions): InspectorSettings {
  checkKeys("inspector()", options, ["allow", "path", "rpcPath", "calls", "samples"]);
  const { allow, path = "/inspect", rpcPath, calls = 1_000, samples = 900 } = options;
  if (allow !== "loopback" && typeof allow !== "function") {
    throw new TypeError(
      'inspector() needs allow: (identity, context) => whether this one may look; or "loopback" on your own machine',
    );
  }
  if (allow === "loopback" && process.env["NODE_ENV"] === "production")
    throw new Error('inspector() allow: "loopback" is for development, and NODE_ENV is "production"');
  if (rpcPath !== undefined) checkPath("rpcPath", rpcPath);
  const page = checkPath("path", path).replace(/\/+$/, "");
  if (page === "")
    throw new TypeError('path must not be "/": the inspector would take every request; give "/inspect"');
  return {
    allow,
    path: page,
    rpcPath,
    calls: checkInteger("calls", calls, 1, 100_000),
    samples: checkInteger("samples", samples, 1, 86_400),
  };
}

function checkPath(name: string, path: unknown): string {
  if (typeof path !== "string" || !/^\/[^?#\s]*$/.test(path))
    throw new TypeError(`${name} must be an absolute path like "/inspect", not ${JSON.stringify(path)}`);
  return path;
}
