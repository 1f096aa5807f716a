/** What both ends share. */
export { Code, codeName } from "./base/code.js";
export {
  type ContextKey,
  type ContextValues,
  createContextKey,
  createContextValues,
} from "./base/context.js";
export { type ErrorDetail, type Executed, errorDetail, RpcError, type RpcErrorInit } from "./base/error.js";
export type {
  CallInfo,
  CallObserver,
  CallOutcome,
  LimitEvent,
  LinkEnd,
  LinkInfo,
  LinkKind,
  Observer,
  Refused,
  SessionEvent,
  TopicFigures,
  Traffic,
} from "./base/observer.js";
export type { Begun, Claim, IdempotencyId, IdempotencyStore, RequestShape } from "./idempotency/store.js";
export { LostClaimError } from "./idempotency/store.js";
export type { RetryOptions } from "./retry/options.js";
export type { HedgingPolicy, MethodConfig, RetryPolicy, RetryThrottling } from "./retry/policy.js";
export { retryInfo } from "./retry/push-back.js";
export type { ServiceConfig, ServiceConfigCode, ServiceMethodConfig } from "./retry/service-config.js";
export { type Client, createClient } from "./rpc/client.js";
export type { HandlerContext, IdempotencyContext, Identity, SessionInfo } from "./rpc/context.js";
export { decodeBinaryHeader, encodeBinaryHeader } from "./rpc/metadata.js";
export { resumable } from "./rpc/resumable.js";
export type { MethodImpl, Router, Routes, ServiceImpl } from "./rpc/router.js";
export {
  type GapReason,
  gapBefore,
  type PublishedAt,
  type PublishOptions,
  type Topic,
  type TopicGap,
  type TopicOptions,
} from "./rpc/topic.js";
export type {
  CallOptions,
  Interceptor,
  InterceptorNext,
  StreamRequest,
  StreamResponse,
  Transport,
  UnaryRequest,
  UnaryResponse,
} from "./rpc/transport.js";
export {
  defineTopic,
  type PresenceOptions,
  presenceOf,
  type TopicDefinitionOptions,
} from "./topics/define.js";
