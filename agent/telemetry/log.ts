// Structured logs: one JSON object a line on standard output. Never a secret, never a row.

import { destination, pino } from 'pino'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type Log = (level: LogLevel, message: string, details?: Readonly<Record<string, unknown>>) => void

/** `beside`: on standard error, for commands whose result is on standard output. */
export function openLog(name: string, level: string, place: 'here' | 'beside' = 'here'): Log {
  const base = { pid: process.pid, name }
  const logger = place === 'here' ? pino({ level, base }) : pino({ level, base }, destination({ fd: 2, sync: true }))
  return (at, message, details = {}) => logger[at](details, message)
}
