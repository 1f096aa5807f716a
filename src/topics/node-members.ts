import type { NodePresence } from "../../gen/hawser/v1/cluster_pb.js";
import type { PresenceMember } from "../../gen/hawser/v1/presence_pb.js";

interface Entry {
  readonly member: PresenceMember;
  /** Calls of its session. */
  calls: number;
}

/** Who is subscribed to a topic on one node. */
export class NodeMembers implements Iterable<PresenceMember> {
  readonly #bySession = new Map<string, Entry>();
  /** Of the last change; 0: there was none. */
  version = 0;

  get size(): number {
    return this.#bySession.size;
  }

  *[Symbol.iterator](): Generator<PresenceMember> {
    for (const { member } of this.#bySession.values()) yield member;
  }

  /** Whether a call of this session is there. */
  has(session: string): boolean {
    return this.#bySession.has(session);
  }

  /** A call of a session has come. Whether it is its first one. */
  add(member: PresenceMember): boolean {
    const entry = this.#bySession.get(member.session);
    if (entry !== undefined) {
      entry.calls++;
      return false;
    }
    this.#bySession.set(member.session, { member, calls: 1 });
    return true;
  }

  /** A call of a session has gone. Its member, when it was its last one. */
  remove(session: string): PresenceMember | undefined {
    const entry = this.#bySession.get(session);
    if (entry === undefined || --entry.calls > 0) return undefined;
    this.#bySession.delete(session);
    return entry.member;
  }

  /** What the node has told. What is new by it; `undefined` when something before it is missing. */
  take(told: NodePresence): { joined: PresenceMember[]; left: PresenceMember[] } | undefined {
    const version = Number(told.version);
    if (told.whole) return version < this.version ? NOTHING : this.#replace(told.joined, version);
    if (version <= this.version) return NOTHING;
    const previous = Number(told.previous);
    if (previous === 0) return this.#replace(told.joined, version);
    if (previous !== this.version) return undefined;
    this.version = version;
    const joined = told.joined.filter(({ session }) => !this.#bySession.has(session));
    const left = told.left.filter(({ session }) => this.#bySession.delete(session));
    for (const member of joined) this.#bySession.set(member.session, { member, calls: 1 });
    return { joined, left };
  }

  #replace(
    members: readonly PresenceMember[],
    version: number,
  ): { joined: PresenceMember[]; left: PresenceMember[] } {
    this.version = version;
    const now = new Set(members.map(({ session }) => session));
    const left = [...this].filter(({ session }) => !now.has(session));
    const joined = members.filter(({ session }) => !this.#bySession.has(session));
    for (const { session } of left) this.#bySession.delete(session);
    for (const member of joined) this.#bySession.set(member.session, { member, calls: 1 });
    return { joined, left };
  }
}

const NOTHING = { joined: [], left: [] };
