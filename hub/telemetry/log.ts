// Structured logs: one JSON object a line on standard output. Never a secret, never a body.

import { type Logger, pino } from 'pino'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export type Log = (level: LogLevel, message: string, details?: Readonly<Record<string, unknown>>) => void

export function openLog(options: { readonly name: string; readonly level: string }): Log {
  const logger: Logger = pino({
    name: options.name,
    level: options.level,
    base: { pid: process.pid, name: options.name },
  })
  return (level, message, details = {}) => logger[level](details, message)
}
