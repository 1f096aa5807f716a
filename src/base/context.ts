/** A typed key for {@link ContextValues}. Make one with {@link createContextKey}. */
export interface ContextKey<T> {
  readonly id: symbol;
  readonly defaultValue: T;
}

/** Values that interceptors hand to each other and to handlers, within this process. */
export interface ContextValues {
  /** The value, or the key's default. */
  get<T>(key: ContextKey<T>): T;
  /** Sets the value; returns this object. */
  set<T>(key: ContextKey<T>, value: T): this;
  /** Back to the key's default; returns this object. */
  delete(key: ContextKey<unknown>): this;
}

/** A new key. Two keys are never the same, whatever their description. */
export function createContextKey<T>(
  defaultValue: T,
  options?: { readonly description?: string },
): ContextKey<T> {
  return { id: Symbol(options?.description), defaultValue };
}

/** An empty set of values, to be given with a call. */
export function createContextValues(): ContextValues {
  const values = new Map<symbol, unknown>();
  return {
    get<T>(key: ContextKey<T>): T {
      return values.has(key.id) ? (values.get(key.id) as T) : key.defaultValue;
    },
    set<T>(key: ContextKey<T>, value: T) {
      values.set(key.id, value);
      return this;
    },
    delete(key: ContextKey<unknown>) {
      values.delete(key.id);
      return this;
    },
  };
}
