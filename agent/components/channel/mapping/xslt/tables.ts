// Choices by the value of one text among literals are code tables: looked up, not tried one by one.

import type { CodeTable, Condition, Node } from '../ast.ts'
import { literalOf, textIn } from './nodes.ts'

/** From so many branches on. */
const BRANCHES_MIN = 4

export class TableMaker {
  readonly made: Record<string, CodeTable> = {}
  readonly #names = new Map<string, string>()

  /** `null`: it is no such choice. */
  lookup(
    branches: readonly { readonly when: Condition; readonly children: readonly Node[] }[],
    otherwise: readonly Node[],
  ): Node | null {
    if (branches.length < BRANCHES_MIN) return null
    const entries = new Map<string, string>()
    let key: string | null = null
    for (const { when, children } of branches) {
      const value = literalOf(children)
      if (when.kind !== 'equals' || when.right.kind !== 'literal' || value === null) return null
      const left = JSON.stringify(when.left)
      if (key !== null && left !== key) return null
      key = left
      if (!entries.has(when.right.value)) entries.set(when.right.value, value)
    }
    const rest = textIn(otherwise)
    if (rest === null || key === null) return null
    const table = this.#table([...entries])
    return { kind: 'text', value: { kind: 'lookup', table, key: JSON.parse(key), otherwise: rest } }
  }

  #table(entries: CodeTable['entries']): string {
    const text = JSON.stringify(entries)
    const known = this.#names.get(text)
    if (known !== undefined) return known
    const table = `table${this.#names.size + 1}`
    this.#names.set(text, table)
    this.made[table] = { entries }
    return table
  }
}
