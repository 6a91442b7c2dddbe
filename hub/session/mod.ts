export { Dispatcher } from './dispatcher.ts'
export { hubSessionFault } from './faults.ts'
export type { HubIdentity } from './identity.ts'
export {
  Session,
  type SessionAgent,
  type SessionConnection,
  type SessionContext,
  type SessionLimits,
} from './session.ts'
