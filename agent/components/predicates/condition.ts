// One condition of each language, compiled.

import { Fault } from '#protocol/base/mod.ts'
import { compileExpression, type Outcome, UNSURE } from '../channel/mod.ts'
import type { Row } from '../contract.ts'
import { isLibxml2Loaded, LibxmlXPath, loadLibxml2 } from '../libxml/mod.ts'
import { EXPRESSION_TIMEOUT_MS } from '../limits.ts'
import { compileQuery, isNode, serializeNode } from '../xdm/mod.ts'
import type { ParsedDocument } from './document.ts'
import { predicateFault } from './faults.ts'
import type { FlatCompiler } from './flat/mod.ts'
import { at, pointerTokens } from './pointer.ts'
import { shown } from './shown.ts'
import type { Language, PredicateSpec } from './spec.ts'
import { absolute } from './xpath/absolute.ts'
import { XPathMistake } from './xpath/lex.ts'
import { parseXPath } from './xpath/parse.ts'

export type Condition = {
  readonly language: Language
  readonly expression: string
  readonly of: 'xml' | 'json'
  /** The document is of that nature. Throws its fault, or the condition's. */
  test(document: ParsedDocument): boolean | Promise<boolean>
  /** What the expression gave, for people. Throws as `test` does. */
  show(document: ParsedDocument): string | Promise<string>
  dispose(): void
}

/** Throws PREDICATE_SYNTAX, QUERY_SYNTAX or EXPRESSION_SYNTAX. */
export function compileCondition(spec: PredicateSpec, where: string, flat: FlatCompiler): Condition {
  const { xpath, xpath3, jsonata, pointer, namespaces = {} } = spec
  if (xpath !== undefined) return xpathCondition(xpath, { namespaces, where: `${where}.xpath`, flat })
  if (xpath3 !== undefined) return xpath3Condition(xpath3, namespaces, `${where}.xpath3`)
  if (jsonata !== undefined) return jsonataCondition(jsonata, `${where}.jsonata`)
  return pointerCondition(pointer ?? {})
}

function xpathCondition(
  text: string,
  options: {
    readonly namespaces: Readonly<Record<string, string>>
    readonly where: string
    readonly flat: FlatCompiler
  },
): Condition {
  const { namespaces, where, flat } = options
  const expr = parsed(text, namespaces, where)
  const quick = flat.compile(expr, namespaces)
  const general = new LibxmlXPath(absolute(text, expr), namespaces)
  const attempt = <T>(evaluate: () => T): T => {
    try {
      return evaluate()
    } catch (error) {
      if (error instanceof Fault) throw error
      throw predicateFault('PREDICATE_FAILED', { where, why: (error as Error).message, expression: text })
    }
  }
  const test = (document: ParsedDocument): boolean => attempt(() => general.test(document.libxml))
  return {
    language: 'xpath',
    expression: text,
    of: 'xml',
    test(document) {
      const quickly = quick === null ? null : quick(document.tree)
      if (quickly !== null) return quickly
      return isLibxml2Loaded() ? test(document) : loadLibxml2().then(() => test(document))
    },
    async show(document) {
      await loadLibxml2()
      const value = attempt(() => general.value(document.libxml))
      return typeof value === 'object' ? shown(value, 'nodes') : shown(value)
    },
    dispose: () => general.dispose(),
  }
}

function parsed(text: string, namespaces: Readonly<Record<string, string>>, where: string) {
  try {
    return parseXPath(text, new Set(Object.keys(namespaces)))
  } catch (error) {
    if (!(error instanceof XPathMistake)) throw error
    const around = `${text.slice(Math.max(0, error.at - 20), error.at)}⟨here⟩${text.slice(error.at, error.at + 20)}`
    throw predicateFault('PREDICATE_SYNTAX', {
      where,
      why: `${error.message}, at character ${error.at}: ${around}`,
      position: error.at,
      expression: text,
    })
  }
}

function xpath3Condition(text: string, namespaces: Readonly<Record<string, string>>, where: string): Condition {
  const query = compileQuery(text, { where, language: 'xpath', namespaces })
  return {
    language: 'xpath3',
    expression: text,
    of: 'xml',
    test: (document) => query.test(document.dom),
    show(document) {
      const items = query.all(document.dom)
      const texts = items.map((item) => (isNode(item) ? serializeNode(item) : shown(item)))
      return texts.length === 1 && !isNode(items[0]) ? (texts[0] as string) : shown(texts, 'items')
    },
    dispose: () => undefined,
  }
}

function jsonataCondition(text: string, where: string): Condition {
  const expression = compileExpression(text, { where, timeoutMs: EXPRESSION_TIMEOUT_MS })
  const evaluate = (json: unknown): Outcome | Promise<Outcome> => {
    const direct = isRecord(json) && expression.direct !== null ? expression.direct(json) : UNSURE
    return direct === UNSURE ? expression.evaluate(json as Row) : direct
  }
  const judge = (outcome: Outcome): boolean => {
    if (outcome === true) return true
    if (outcome === false || outcome === undefined) return false
    throw predicateFault('PREDICATE_FAILED', {
      where,
      why: `it gave ${shown(outcome)}, not true or false`,
      expression: text,
    })
  }
  return {
    language: 'jsonata',
    expression: text,
    of: 'json',
    test(document) {
      const outcome = evaluate(document.json)
      return outcome instanceof Promise ? outcome.then(judge) : judge(outcome)
    },
    async show(document) {
      return shown(await evaluate(document.json))
    },
    dispose: () => undefined,
  }
}

const isRecord = (value: unknown): value is Row => typeof value === 'object' && value !== null && !Array.isArray(value)

function pointerCondition(pointer: NonNullable<PredicateSpec['pointer']>): Condition {
  const places = Object.entries(pointer).map(([path, wanted]) => ({
    path,
    tokens: pointerTokens(path),
    wanted: new Set<unknown>(Array.isArray(wanted) ? wanted : [wanted]),
  }))
  return {
    language: 'pointer',
    expression: JSON.stringify(pointer),
    of: 'json',
    test: ({ json }) => places.every(({ tokens, wanted }) => wanted.has(at(json, tokens))),
    show: ({ json }) => places.map(({ path, tokens }) => `${path} is ${shown(at(json, tokens))}`).join(', '),
    dispose: () => undefined,
  }
}
