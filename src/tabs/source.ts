import type { PortLike } from "./line.js";

/** Who holds the connection. */
export type HostKind = "worker" | "this tab" | "another tab";

/** A host that was found. */
export interface Found {
  readonly kind: HostKind;
  /** Leads to the host, which speaks first. */
  readonly port: PortLike;
}

/** Told what a {@link HostSource} comes to know. */
export interface SourceEvents {
  onFound(found: Found): void;
  /** There will be no host this way. */
  onUseless(): void;
}

/** Where a tab finds the host of the connection. */
export interface HostSource {
  /** Looks for a host, or for another one. A host may also be found later, unasked, in place of the present one. */
  find(): void;
  /** The host that was found, or the search for one, has been silent for too long. */
  silent(): void;
  /**
   * The page is being left; nothing can be awaited any more. {@link HostSource.find} begins anew.
   *
   * @param over for good: its session ends
   */
  leave(over: boolean): void;
}
