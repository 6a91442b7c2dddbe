// What an agent says about itself: logs, status, its own faults.

export { type CommandStatus, readCommands, tellCommand } from './command-status.ts'
export { agentFault } from './faults.ts'
export { type Log, type LogLevel, openLog } from './log.ts'
export {
  type AgentStatus,
  isRunning,
  readStatus,
  StatusFile,
  statusOf,
  type TransferStatus,
  transfersOf,
} from './status.ts'
export { WishFolder } from './wishes.ts'
