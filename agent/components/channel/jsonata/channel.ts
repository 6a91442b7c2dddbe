// Channel `jsonata`: what an expression makes of a row or a JSON document.
//
// Of a row come rows: an object is one, a list of objects several, nothing is none. Of a document come documents, which may be any
// value. Several documents of one are numbered (`a.json` → `a.1.json`). Stateless.

import { asFault } from '#protocol/base/mod.ts'
import type { Channel, ComponentContext, Item, Reject, Row, Value } from '../../contract.ts'
import { documentOf, withDocument } from '../../document.ts'
import { compileExpression, type Expression, type Outcome, UNSURE } from '../expression.ts'
import { readJson, writeJson } from '../json-text.ts'
import { numbered } from '../numbered.ts'
import { jsonataFault } from './faults.ts'
import type { JsonataSettings } from './settings.ts'

export class JsonataChannel implements Channel {
  readonly #settings: JsonataSettings
  readonly #expression: Expression

  /** Throws EXPRESSION_SYNTAX. */
  constructor(settings: JsonataSettings, _context: ComponentContext) {
    const { expression, timeoutMs } = settings
    this.#settings = settings
    this.#expression = compileExpression(expression, { where: 'jsonata: expression', timeoutMs })
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    const done: Item[] = []
    const { field } = this.#settings
    for (const item of items) {
      try {
        const rows = field === undefined && item.content === undefined
        for (const each of rows ? await this.#rows(item) : await this.#documents(item)) done.push(each)
      } catch (error) {
        reject({ item, fault: asFault(error, 'jsonata') })
      }
    }
    return done
  }

  async #rows({ row, ref }: Item): Promise<Item[]> {
    const outcome = await this.#evaluate(row)
    return this.#parts(outcome).map((part) => {
      if (!isRow(part)) throw jsonataFault('JSONATA_NO_ROW', { why: `it gave ${nameOf(part)}` })
      return { row: part, ref }
    })
  }

  async #documents(item: Item): Promise<Item[]> {
    const { field } = this.#settings
    const json = readJson(await documentOf(item, this.#settings))
    const parts = this.#parts(await this.#evaluate(json))
    return parts.map((part, i) => {
      const text = writeJson(part)
      if (field !== undefined) return withDocument(item, text, { field })
      const name = parts.length === 1 ? {} : numbered(item.row.name, i + 1, parts.length)
      return withDocument(item, Buffer.from(text), {}, { mediaType: 'application/json', ...name })
    })
  }

  #parts(outcome: Outcome): readonly Value[] {
    if (outcome === undefined) return []
    return this.#settings.each && Array.isArray(outcome) ? (outcome as readonly Value[]) : [outcome]
  }

  async #evaluate(input: unknown): Promise<Outcome> {
    const { direct } = this.#expression
    const outcome = direct !== null && isRow(input) ? direct(input) : UNSURE
    return outcome === UNSURE ? this.#expression.evaluate(input as Row) : outcome
  }
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
}

function nameOf(value: Value): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list in a list'
  return value instanceof Uint8Array ? 'bytes' : `a ${typeof value}`
}
