// Channel `filter`: lets items pass whose row (`where`) or document (`when`) is as wanted.
//
// False, and nothing (a field the row does not have), hold an item back. Any other result is a mistake in the condition: the
// item is rejected, not silently dropped. Stateless.

import { asFault } from '#protocol/base/mod.ts'
import type { Channel, ComponentContext, Item, Reject } from '../../contract.ts'
import { documentOf } from '../../document.ts'
import { componentFault } from '../../faults.ts'
import { compilePredicates, type Predicates } from '../../predicates/mod.ts'
import { compileExpression, type Expression, type Outcome, UNSURE } from '../expression.ts'
import type { FilterSettings } from './settings.ts'

/** Throws the faults of `compilePredicates`, EXPRESSION_SYNTAX. */
export function filterChannel(settings: FilterSettings, context: ComponentContext): Channel {
  return settings.when === undefined ? new FilterChannel(settings, context) : new DocumentFilterChannel(settings)
}

export class DocumentFilterChannel implements Channel {
  readonly #settings: FilterSettings
  readonly #predicates: Predicates

  constructor(settings: FilterSettings) {
    const { when = {}, bytesMax } = settings
    this.#settings = settings
    this.#predicates = compilePredicates([when], { where: () => 'filter: when', bytesMax })
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    const passed: Item[] = []
    const { field } = this.#settings
    for (const item of items) {
      try {
        const mediaType = field === undefined && typeof item.row.mediaType === 'string' ? item.row.mediaType : ''
        const [verdict] = await this.#predicates.test(await documentOf(item, this.#settings), mediaType)
        if (verdict === true) passed.push(item)
        else if (verdict !== false) throw verdict
      } catch (error) {
        reject({ item, fault: asFault(error) })
      }
    }
    return passed
  }

  async close(): Promise<void> {
    this.#predicates.dispose()
  }
}

export class FilterChannel implements Channel {
  readonly #condition: Expression

  /** Throws EXPRESSION_SYNTAX. */
  constructor({ where = '', timeoutMs }: FilterSettings, _context: ComponentContext) {
    this.#condition = compileExpression(where, { where: 'filter: where', timeoutMs })
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
