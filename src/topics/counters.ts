/** What a node's topics have done so far. Whole numbers that only grow, but for `subscribers` and `channels`. */
export interface TopicCounters {
  /** Calls that are attached to a topic now. */
  subscribers: number;
  /** Topics that have subscribers now, or had some a moment ago. */
  channels: number;
  /** Messages that this node has published. */
  published: number;
  /** Publications that have come to this node. */
  received: number;
  /** Publications that were written to subscribers, or to be caught up with by them. */
  delivered: number;
  /** Of these, those that were caught up with. */
  recovered: number;
  /** How often a subscriber fell behind: its link or its reader was too slow. */
  fellBehind: number;
  /** Gaps that subscribers were told of. */
  gaps: number;
}

export function newCounters(): TopicCounters {
  return {
    subscribers: 0,
    channels: 0,
    published: 0,
    received: 0,
    delivered: 0,
    recovered: 0,
    fellBehind: 0,
    gaps: 0,
  };
}
