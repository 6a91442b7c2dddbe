// Channel `filter`: lets rows pass for which a condition is true.
//
// False, and nothing (a field the row does not have), hold a row back. Any other result is a mistake in the condition: the
// row is rejected, not silently dropped. Stateless.

import { asFault } from '#protocol/base/mod.ts'
import { f, type Infer } from '#protocol/fields/mod.ts'
import type { Channel, ComponentContext, Item, Reject } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { EXPRESSION_CHARS_MAX, EXPRESSION_TIMEOUT_MS } from '../../limits.ts'
import { compileExpression, type Expression, type Outcome, UNSURE } from '../expression.ts'

export const filterSettings = f.object({
  where: f.text({ doc: 'JSONata condition; rows for which it is true pass', maxLength: EXPRESSION_CHARS_MAX }),
  timeoutMs: f.duration({
    doc: 'Longest time the condition may take on one row',
    min: 1,
    max: 60_000,
    default: EXPRESSION_TIMEOUT_MS,
  }),
})

export type FilterSettings = Infer<typeof filterSettings>

export class FilterChannel implements Channel {
  readonly #condition: Expression

  /** Throws EXPRESSION_SYNTAX. */
  constructor(settings: FilterSettings, _context: ComponentContext) {
    this.#condition = compileExpression(settings.where, { where: 'filter: where', timeoutMs: settings.timeoutMs })
  }

  process(items: readonly Item[], reject: (reject: Reject) => void): readonly Item[] | Promise<readonly Item[]> {
    const passed: Item[] = []
    const { direct } = this.#condition
    for (let i = 0; i < items.length; i += 1) {
      const item = items[i] as Item
      const outcome = direct === null ? UNSURE : direct(item.row)
      if (outcome === UNSURE) return this.#processOn(items, i, passed, reject)
      judge(item, outcome, passed, reject)
    }
    return passed
  }

  async #processOn(
    items: readonly Item[],
    from: number,
    passed: Item[],
    reject: (reject: Reject) => void,
  ): Promise<readonly Item[]> {
    const { direct } = this.#condition
    for (let i = from; i < items.length; i += 1) {
      const item = items[i] as Item
      try {
        const outcome = direct === null ? UNSURE : direct(item.row)
        judge(item, outcome === UNSURE ? await this.#condition.evaluate(item.row) : outcome, passed, reject)
      } catch (error) {
        reject({ item, fault: asFault(error) })
      }
    }
    return passed
  }
}

function judge(item: Item, outcome: Outcome, passed: Item[], reject: (reject: Reject) => void): void {
  if (outcome === true) passed.push(item)
  else if (outcome !== false && outcome !== undefined) {
    const why = outcome === null ? 'it gave null' : `it gave a ${Array.isArray(outcome) ? 'list' : typeof outcome}`
    reject({ item, fault: componentFault('FILTER_NOT_BOOLEAN', { where: 'filter: where', why }) })
  }
}
