/** What a tab says to the host of the connection, which is a worker or another tab. */
export type ToHost =
  /** First, in answer to `here`: who the tab is. Its lock is called so, and free when the tab is gone. */
  | { readonly do: "join"; readonly tab: string }
  /** A link is wanted. Tabs number theirs. */
  | { readonly do: "dial"; readonly dial: number; readonly url: string }
  | { readonly do: "packet"; readonly dial: number; readonly bytes: Uint8Array }
  | { readonly do: "close"; readonly dial: number; readonly code: number; readonly reason: string }
  /** The tab goes, for good (`over`), or to where it may come back from. */
  | { readonly do: "leave"; readonly over: boolean }
  /** Is anybody there? */
  | { readonly do: "probe" };

/** What a host says to a tab. */
export type ToTab =
  /** First, and in answer to `dial` and `probe`: who the host is. Its lock is called so. */
  | { readonly say: "here"; readonly host: string }
  | { readonly say: "opened"; readonly dial: number }
  | { readonly say: "packet"; readonly dial: number; readonly bytes: Uint8Array }
  /** So many bytes more have been handed to the network. */
  | { readonly say: "written"; readonly dial: number; readonly bytes: number }
  /** The link is closed, or could not be opened. */
  | { readonly say: "closed"; readonly dial: number; readonly code: number; readonly reason: string }
  /** The WebSocket stands: tabs that wait for better times may come. */
  | { readonly say: "up" }
  /** The server does not let tabs share a connection. */
  | { readonly say: "unsupported" }
  /** The host goes. */
  | { readonly say: "left" };

/** What leaders and followers say to each other over the channel that all tabs hear. */
export type Hail =
  /** Who leads? */
  | { readonly hail: "who" }
  /** This one does. */
  | { readonly hail: "leader"; readonly host: string }
  /** A tab wants to speak with that leader, over a channel of this name. */
  | { readonly hail: "pair"; readonly host: string; readonly channel: string };
