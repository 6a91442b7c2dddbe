// What an agent says about itself: logs, status, its own faults.

export { agentFault } from './faults.ts'
export { type Log, type LogLevel, openLog } from './log.ts'
export { type AgentStatus, isRunning, readStatus, StatusFile, statusOf } from './status.ts'
