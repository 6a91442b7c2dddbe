export { CREDIT_BYTES_FIRST, CreditPool } from './credit.ts'
export { Dispatcher } from './dispatcher.ts'
export { hubSessionFault } from './faults.ts'
export type { HubIdentity } from './identity.ts'
export { type OwnMessage, OwnMessages } from './own.ts'
export type { Route } from './producer.ts'
export { type RollbackClaim, RollbackGuard } from './rollback.ts'
export {
  REPLY_PATTERN,
  Session,
  type SessionAgent,
  type SessionConnection,
  type SessionContext,
  type SessionLimits,
} from './session.ts'
