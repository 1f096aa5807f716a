/**
 * Cuts a burst of work into slices, between which the platform does other things: a page is painted and answers to
 * its user while thousands of messages are handed out.
 */
export interface Slices {
  /** Whether the present turn of the event loop has worked for long enough. The first question begins its time. */
  isSpent(): boolean;
  /** Calls a function in a turn of its own, behind others that wait for theirs. */
  next(task: () => void): void;
}
