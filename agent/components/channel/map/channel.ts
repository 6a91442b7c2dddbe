// Channel `map`: gives rows other fields.
//
// Order: 1. `keep` or `drop` choose among the incoming fields, by their old names (a renamed field is always kept).
// 2. `rename`, each in the place of the old field; what is set explicitly wins over an incoming field of that name.
// 3. `constants`. 4. `expressions`, each on the incoming row as it was, so that their order does not matter.
// A path that leads nowhere gives null, so that every row has the same fields. A row whose expression fails, or that lacks a
// field to rename, is rejected; the others pass. Stateless.

import { asFault, type Fault } from '#protocol/base/mod.ts'
import type { Channel, ComponentContext, Item, Reject, Row, Value } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { suggestion } from '../../names.ts'
import { compileExpression, type Expression, UNSURE } from '../expression.ts'
import type { MapSettings } from './settings.ts'

type Reshape = (row: Row) => Record<string, Value>

export class MapChannel implements Channel {
  readonly #reshape: Reshape
  readonly #expressions: readonly (readonly [string, Expression])[]

  /** Throws EXPRESSION_SYNTAX. */
  constructor(settings: MapSettings, _context: ComponentContext) {
    this.#reshape = reshaper(settings)
    this.#expressions = Object.entries(settings.expressions ?? {}).map(([field, text]) => {
      const where = `map: expressions.${field}`
      return [field, compileExpression(text, { where, timeoutMs: settings.timeoutMs })] as const
    })
  }

  process(items: readonly Item[], reject: (reject: Reject) => void): readonly Item[] | Promise<readonly Item[]> {
    const done: Item[] = []
    for (let i = 0; i < items.length; i += 1) {
      const item = items[i] as Item
      try {
        const row = this.#direct(item.row)
        // From the first row that needs it on, the general way; it awaits.
        if (row === null) return this.#processOn(items, i, done, reject)
        done.push(withRow(item, row))
      } catch (error) {
        reject({ item, fault: asFault(error) })
      }
    }
    return done
  }

  async #processOn(
    items: readonly Item[],
    from: number,
    done: Item[],
    reject: (reject: Reject) => void,
  ): Promise<readonly Item[]> {
    for (let i = from; i < items.length; i += 1) {
      const item = items[i] as Item
      try {
        done.push(withRow(item, this.#direct(item.row) ?? (await this.#general(item.row))))
      } catch (error) {
        reject({ item, fault: asFault(error) })
      }
    }
    return done
  }

  #direct(row: Row): Row | null {
    const changed = this.#reshape(row)
    for (const [field, expression] of this.#expressions) {
      const value = expression.direct === null ? UNSURE : expression.direct(row)
      if (value === UNSURE) return null
      changed[field] = value ?? null
    }
    return changed
  }

  async #general(row: Row): Promise<Row> {
    const changed = this.#reshape(row)
    for (const [field, expression] of this.#expressions) {
      const value = expression.direct === null ? UNSURE : expression.direct(row)
      changed[field] = (value === UNSURE ? await expression.evaluate(row) : value) ?? null
    }
    return changed
  }
}

const withRow = ({ ref, content }: Item, row: Row): Item =>
  content === undefined ? { row, ref } : { row, ref, content }

function reshaper(settings: MapSettings): Reshape {
  const { keep, drop = [], rename = {}, constants = {}, expressions = {} } = settings
  // One old field may be given several new names.
  const renamed = new Map<string, string[]>()
  for (const [fresh, old] of Object.entries(rename)) renamed.set(old, [...(renamed.get(old) ?? []), fresh])
  const kept = keep === undefined ? null : new Set(keep)
  const left = new Set([...drop, ...Object.keys(rename), ...Object.keys(constants), ...Object.keys(expressions)])
  const fixed = Object.entries(constants)
  return (row) => {
    const changed: Record<string, Value> = {}
    let found = 0
    for (const field in row) {
      const names = renamed.get(field)
      if (names !== undefined) {
        found += 1
        for (const name of names) changed[name] = row[field] as Value
      } else if ((kept === null || kept.has(field)) && !left.has(field)) {
        changed[field] = row[field] as Value
      }
    }
    if (found < renamed.size) throw missingField(row, renamed)
    for (const [field, value] of fixed) changed[field] = value
    return changed
  }
}

function missingField(row: Row, renamed: ReadonlyMap<string, readonly string[]>): Fault {
  const fields = Object.keys(row)
  const missing = [...renamed.keys()].filter((old) => !fields.includes(old))
  const why = `${missing.map((old) => JSON.stringify(old)).join(', ')}. ${suggestion(missing[0] ?? '', fields)}`
  return componentFault('MAP_FIELD_MISSING', { where: 'map: rename', why })
}
