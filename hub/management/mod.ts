export { commands, configOf, data, json } from './commands/mod.ts'
export { askHub, fetchStatus, HubFaults } from './contact.ts'
export { managementFault } from './faults.ts'
export { formatId, type MessageId, parseId } from './message-id.ts'
export type {
  ContentsOperator,
  CopyView,
  EventView,
  LaneView,
  MessageFilter,
  MessageView,
  Operator,
  Operators,
  Progress,
  Purged,
  QueueView,
  Redriven,
  RoutesOperator,
  TraceView,
} from './operator.ts'
export { ManagementServer } from './server.ts'
