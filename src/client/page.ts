/** What a page goes through, as far as connections are concerned. */
export interface PageEvents {
  /** Links are to be given up: they are dead or will be, and nobody would say so. */
  onLeave(reason: string): void;
  /** Connecting may make sense again. */
  onReturn(): void;
}

/** What there is of it in pages, in workers, and in programs for other runtimes. */
interface Scope extends Partial<Pick<EventTarget, "addEventListener" | "removeEventListener">> {
  readonly document?: Document;
  readonly navigator?: Navigator;
}

const scope = globalThis as Scope;

/** Whether connecting makes sense now: not while the page is hidden or the machine offline. */
export function isPageActive(): boolean {
  return scope.navigator?.onLine !== false && scope.document?.visibilityState !== "hidden";
}

/** Listens to the page; returns how to stop that. */
export function watchPage({ onLeave, onReturn }: PageEvents): () => void {
  const { document } = scope;
  const listeners: readonly (readonly [Scope | undefined, string, (event: Event) => void])[] = [
    [
      scope,
      "online",
      () => {
        // What stood before the outage went over a network that is gone, as a rule. To resume costs less than to wait until
        // its silence is noticed.
        onLeave("the machine was offline");
        onReturn();
      },
    ],
    [
      scope,
      "pagehide",
      (event) => {
        // Some browsers do not keep a page with an open WebSocket for the way back; others cut it without a word.
        if ((event as PageTransitionEvent).persisted) onLeave("the page was left");
      },
    ],
    [scope, "pageshow", onReturn],
    [document, "freeze", () => onLeave("the page was frozen")],
    [document, "resume", onReturn],
    [document, "visibilitychange", onReturn],
  ];
  for (const [target, name, listener] of listeners) target?.addEventListener?.(name, listener);
  return () => {
    for (const [target, name, listener] of listeners) target?.removeEventListener?.(name, listener);
  };
}
