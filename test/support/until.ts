/** Waits until a condition holds; it is asked at every turn of the event loop's timers. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
}
