/**
 * Timers and TCP handles that are left. Handles that were closed just now are gone some turns of the event loop later,
 * which is waited for; what was not closed stays.
 */
export async function resourcesLeft(): Promise<string[]> {
  const left = () => process.getActiveResourcesInfo().filter((name) => /Timeout|TCP|TLS/.test(name));
  for (let turn = 0; turn < 1_000 && left().length > 0; turn++)
    await new Promise((resolve) => setImmediate(resolve));
  return left();
}
