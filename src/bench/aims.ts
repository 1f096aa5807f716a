import type { ContenderName } from "./contenders.js";
import type { Row } from "./rows.js";

/** What we want of one contender, as its ratio to another in the same run. Shown beside what was reached; nothing fails by it. */
export interface Aim {
  readonly scenario: string;
  readonly metric: string;
  readonly contender: ContenderName;
  readonly against: ContenderName;
  readonly least?: number;
  readonly most?: number;
}

const calls = (scenario: string, against: ContenderName, least: number): Aim => ({
  scenario,
  metric: "callsPerSecond",
  contender: "hawser",
  against,
  least,
});

/** What has to be reached, and what former releases had to. */
export const AIMS: readonly Aim[] = [
  calls("unary-32B-64", "ws", 1.5),
  {
    scenario: "unary-32B-64",
    metric: "serverCpuMicrosPerCall",
    contender: "hawser",
    against: "ws",
    most: 0.5,
  },
  calls("unary-32B-64", "net", 0.6),
  calls("unary-32B-64", "rpc-websockets", 2),
  calls("unary-32B-64", "socket.io", 3),
  calls("unary-32B-64", "socket.io-msgpack", 3),
  calls("unary-32B-64", "capnweb", 5),
  calls("unary-32B-64", "river", 8),
  calls("unary-32B-64", "trpc", 10),
  calls("unary-32B-64", "grpc-js", 30),
  calls("unary-32B-64", "connect-node", 80),
  calls("unary-1KiB-64", "ws", 1.2),
  calls("unary-64KiB-8", "ws", 0.8),
  { scenario: "unary-32B-1", metric: "p50Micros", contender: "hawser", against: "ws", most: 1.1 },
  calls("unary-32B-8", "ws", 0.9),
  calls("unary-32B-8x8", "ws", 1.3),
  { scenario: "push-32B", metric: "messagesPerSecond", contender: "hawser", against: "ws", least: 4 },
  { scenario: "idle-5000", metric: "heapBytesPerConnection", contender: "hawser", against: "ws", most: 1.5 },
  {
    scenario: "fanout-100B-1000",
    metric: "deliveriesPerSecond",
    contender: "hawser",
    against: "ws",
    least: 1,
  },
  {
    scenario: "fanout-100B-1000",
    metric: "serverCpuMicrosPerDelivery",
    contender: "hawser",
    against: "ws",
    most: 1,
  },
  {
    scenario: "fanout-100B-1000-50-per-turn",
    metric: "deliveriesPerSecond",
    contender: "hawser",
    against: "ws",
    least: 3,
  },
  {
    scenario: "outbox-32B-64",
    metric: "serverCpuMicrosPerCall",
    contender: "hawser",
    against: "hawser-no-outbox",
    most: 1.1,
  },
  {
    scenario: "keys-32B-64",
    metric: "serverCpuMicrosPerCall",
    contender: "hawser-keys",
    against: "hawser",
    most: 1.25,
  },
  {
    scenario: "keys-32B-1",
    metric: "serverCpuMicrosPerCall",
    contender: "hawser-keys",
    against: "hawser",
    most: 1.25,
  },
  calls("limits-32B-64", "hawser-no-limits", 0.9),
  {
    scenario: "compression-1KiB-64",
    metric: "callsPerSecond",
    contender: "hawser-balanced",
    against: "ws-deflate",
    least: 10,
  },
  {
    scenario: "compression-1KiB-64",
    metric: "wireBytesPerCall",
    contender: "hawser-balanced",
    against: "ws-deflate",
    most: 1.3,
  },
  {
    scenario: "compression-idle-500",
    metric: "rssBytesPerConnection",
    contender: "hawser-balanced",
    against: "ws-deflate",
    most: 0.25,
  },
];

/** An aim beside what was measured. */
export interface Reached {
  readonly aim: Aim;
  /** Median of the contender over median of what it is measured against. */
  readonly ratio: number;
  readonly met: boolean;
}

/** What was reached of the aims whose both sides are among these rows. */
export function reachedAims(rows: readonly Row[], aims: readonly Aim[] = AIMS): readonly Reached[] {
  const medianOf = (aim: Aim, contender: string) =>
    rows.find(
      (row) => row.scenario === aim.scenario && row.metric === aim.metric && row.contender === contender,
    )?.median;
  return aims.flatMap((aim) => {
    const own = medianOf(aim, aim.contender);
    const other = medianOf(aim, aim.against);
    if (own === undefined || other === undefined) return [];
    const ratio = own / other;
    const met = ratio >= (aim.least ?? 0) && ratio <= (aim.most ?? Number.POSITIVE_INFINITY);
    return [{ aim, ratio, met }];
  });
}

/** The aim in few characters: `≥ 1.5`. */
export function aimText({ least, most }: Aim): string {
  return least !== undefined ? `≥ ${least}` : `≤ ${most}`;
}
