import type { TopicFigures } from "../base/observer.js";

/** {@link TopicFigures} as they are counted. */
export type TopicCounters = { -readonly [Name in keyof TopicFigures]: TopicFigures[Name] };

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
