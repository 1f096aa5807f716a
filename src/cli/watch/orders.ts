import { SessionOrder } from "../../../gen/hawser/inspect/v1/inspect_pb.js";

/** An order of connections. */
export interface Order {
  readonly name: string;
  readonly order: SessionOrder;
  readonly ascending: boolean;
}

/** Those that the key `s` goes through. */
export const ORDERS: readonly [Order, ...Order[]] = [
  { name: "traffic", order: SessionOrder.TRAFFIC, ascending: false },
  { name: "calls", order: SessionOrder.CALLS, ascending: false },
  { name: "outbox", order: SessionOrder.OUTBOX, ascending: false },
  { name: "round trip", order: SessionOrder.ROUND_TRIP, ascending: false },
  { name: "resumes", order: SessionOrder.RESUMES, ascending: false },
  { name: "age", order: SessionOrder.UNSPECIFIED, ascending: true },
  { name: "identity", order: SessionOrder.IDENTITY, ascending: true },
];

/** The one behind it; behind the last one, the first. */
export function nextOrder(order: Order): Order {
  return ORDERS[(ORDERS.indexOf(order) + 1) % ORDERS.length] ?? ORDERS[0];
}
