// Structured logs: one JSON object a line on standard output. Never a secret, never a row.

import { pino } from 'pino'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type Log = (level: LogLevel, message: string, details?: Readonly<Record<string, unknown>>) => void

export function openLog(name: string, level: string): Log {
  const logger = pino({ level, base: { pid: process.pid, name } })
  return (at, message, details = {}) => logger[at](details, message)
}
