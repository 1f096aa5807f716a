/** Where a topic stands, or a subscriber in it. */
export interface Position {
  /** Names the numbering: offsets of two epochs have nothing to do with each other. At most 64 characters. */
  readonly epoch: string;
  /** Offset of the last publication; before the first, one below its. */
  readonly offset: number;
}

/** One message of a topic. Every subscriber of a node gets the same object. */
export interface Publication {
  /** Its place in the topic: increasing within an epoch, not always by one. Above 0. */
  readonly offset: number;
  /** Offset of the publication before it, or of where the topic stood when there was none. */
  readonly previous: number;
  readonly payload: Uint8Array;
  /** Publications with the same key replace each other for slow subscribers of topics that conflate; else `""`. */
  readonly key: string;
}

/** Why publications were missed, or may have been, as brokers know it; see `TopicGap`. */
export type FeedGap = "historyTooShort" | "newEpoch" | "brokerLoss";
