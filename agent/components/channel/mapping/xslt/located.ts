// Reads expressions of an instruction, and says its line when one is not in the subset.

import type { Condition, Expression, NumberExpression, Path } from '../ast.ts'
import { NotInSubset } from './subset.ts'
import type { StyleElement } from './tree.ts'
import type { Value } from './values.ts'
import type { XPathReader } from './xpath.ts'

/** Says the line of the instruction when an expression is not in the subset. */
export class Located {
  readonly #reader: XPathReader
  readonly #element: StyleElement

  constructor(reader: XPathReader, element: StyleElement) {
    this.#reader = reader
    this.#element = element
  }

  #located<T>(read: () => T): T {
    try {
      return read()
    } catch (error) {
      throw error instanceof NotInSubset ? at(error, this.#element) : error
    }
  }

  value = (): Value => this.#located(() => this.#reader.value())
  text = (): Expression => this.#located(() => this.#reader.text())
  condition = (): Condition => this.#located(() => this.#reader.condition())
  path = (): Path => this.#located(() => this.#reader.path())
  numericKey = (): Expression => this.#located(() => this.#reader.numericKey())
  scaled = (decimals: number): NumberExpression => this.#located(() => this.#reader.scaled(decimals))
}

export function at(error: NotInSubset, { line }: StyleElement): NotInSubset {
  error.line ??= line
  return error
}
