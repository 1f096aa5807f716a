/** The id of whoever has this name: the same for "Ada" and " ADA". Server and page must agree on it. */
export function idOf(name: string): string {
  return displayName(name).toLowerCase();
}

/** The name as others see it. */
export function displayName(name: string): string {
  return name.trim().normalize("NFKC");
}
