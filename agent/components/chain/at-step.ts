// A refusal with the step in its words, for who keeps nothing but the words.

import { Fault } from '#protocol/base/mod.ts'
import type { Reject } from '../contract.ts'
import type { ChainReject } from './types.ts'

/** The same code and remedy; the message begins with `step 2 (xslt): `. */
export function atStep({ item, fault, step, type }: ChainReject): Reject {
  const { code, message, where, remedy, details, cause } = fault
  const more = { ...(where === null ? {} : { where }), ...(cause === undefined ? {} : { cause }) }
  const meaning = `step ${step} (${type}): ${message}`
  return { item, fault: new Fault(code, { meaning, remedy }, { ...details, step, ...more }) }
}
