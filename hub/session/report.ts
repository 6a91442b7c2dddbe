import type { Fault } from '#protocol/base/mod.ts'
import type { FaultReport } from '#protocol/schema/mod.ts'

/** A fault as an authenticated agent is told it. */
export function reportOf(fault: Fault): FaultReport {
  return {
    code: fault.code.slice(0, 64),
    message: fault.message.slice(0, 1000).toWellFormed(),
    remedy: fault.remedy.slice(0, 1000).toWellFormed(),
    retry: fault.details.retry === true,
  }
}
