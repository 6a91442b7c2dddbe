// Rows whose values are not nested too deeply to be kept.

import type { Row, Value } from '../contract.ts'
import { stateFault } from './faults.ts'
import { ROW_DEPTH_MAX } from './limits.ts'

/** Faults: `ROW_TOO_DEEP`. */
export function checkDepth(row: Row): void {
  for (const field in row) {
    const value = row[field]
    if (typeof value === 'object' && isDeeper(value, ROW_DEPTH_MAX)) {
      throw stateFault('ROW_TOO_DEEP', { where: `field ${field}`, why: `more than ${ROW_DEPTH_MAX} levels` })
    }
  }
}

function isDeeper(value: Value, levels: number): boolean {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false
  if (levels === 0) return true
  for (const each of Object.values(value) as Value[]) if (isDeeper(each, levels - 1)) return true
  return false
}
