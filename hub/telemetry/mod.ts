export { type Log, type LogLevel, openLog } from './log.ts'
export { Metrics } from './metrics.ts'
export type { HubStatus } from './status.ts'
