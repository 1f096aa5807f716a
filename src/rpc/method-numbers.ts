import { violation } from "../session/violation.js";

/** Numbers that one side may give to methods in a session. */
const MAX_METHODS = 4096;

/** Numbers that this side gives to methods, so that their names travel once. */
export class OutgoingMethods {
  #numbers: Map<string, number> | undefined;

  /** Whether the other side knows the number of a method, or is about to learn it. */
  knows(name: string): boolean {
    return this.#numbers?.has(name) === true;
  }

  /** The number of a method, and its name when the other side does not know the number yet. */
  number(name: string): { readonly method: number; readonly name: string } {
    this.#numbers ??= new Map();
    const known = this.#numbers.get(name);
    if (known !== undefined) return { method: known, name: "" };
    const method = this.#numbers.size + 1;
    this.#numbers.set(name, method);
    return { method, name };
  }
}

/** Numbers that the other side has given. */
export class IncomingMethods {
  readonly #names: string[] = [];

  /**
   * The name of a method, from what an Open says.
   *
   * @throws WireError (1002) when the number was never given, or is given out of order.
   */
  name(method: number, name: string): string {
    if (name === "") {
      const known = this.#names[method - 1];
      if (known === undefined) throw violation(`method number ${method}, which was never given a name`);
      return known;
    }
    if (method !== this.#names.length + 1 || this.#names.length >= MAX_METHODS) {
      throw violation(`method number ${method} for a new name after ${this.#names.length}`);
    }
    this.#names.push(name);
    return name;
  }
}
