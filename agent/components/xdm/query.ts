// A query, checked when it is made and evaluated on as many documents as come.

import type { Language, Options } from 'fontoxpath'
import type { Document, Node } from 'slimdom'
import type { Fault } from '#protocol/base/mod.ts'
import { fontoxpath, slimdom } from './engines.ts'
import { queryFault } from './faults.ts'

/** Semicolons tried as the end of a prolog. Beyond it mistakes show with the first document. */
const PROLOG_GUESSES_MAX = 50

export type QueryOptions = {
  /** The setting, for faults. */
  readonly where: string
  readonly language: 'xpath' | 'xquery'
  readonly namespaces: Readonly<Record<string, string>>
  /** Names of the variables that each evaluation gives. */
  readonly variables?: readonly string[]
}

export type Query = {
  /** Effective boolean value. Throws `QUERY_FAILED`. */
  test(node: Node): boolean
  /** Every item of the result: nodes as they are, other values as JavaScript has them. Throws `QUERY_FAILED`. */
  all(node: Node, variables?: Readonly<Record<string, unknown>>): readonly unknown[]
}

/** Throws `QUERY_SYNTAX`, also for functions, prefixes and variables that do not exist. */
export function compileQuery(text: string, options: QueryOptions): Query {
  const { where, namespaces } = options
  const language = options.language === 'xquery' ? 'XQuery3.1' : 'XPath3.1'
  const evaluation = {
    language: language as Language,
    namespaceResolver: (prefix: string) =>
      Object.hasOwn(namespaces, prefix) ? (namespaces[prefix] ?? null) : prefix === '' ? '' : null,
    logger: { trace: () => undefined },
    xmlSerializer: { serializeToString: (node: unknown) => slimdom().serializeToWellFormedString(node as Node) },
  } as unknown as Options
  const nothing = new (slimdom().Document)()
  check(text, { where, evaluation, nothing, variables: options.variables ?? [] })
  const guarded = <T>(evaluate: () => T): T => {
    try {
      return evaluate()
    } catch (error) {
      throw failure(error, where, text)
    }
  }
  return {
    test: (node) => guarded(() => fontoxpath().evaluateXPathToBoolean(text, node, null, null, evaluation)),
    all: (node, variables) =>
      guarded(() =>
        fontoxpath().evaluateXPath(
          text,
          node,
          null,
          variables ?? null,
          fontoxpath().evaluateXPath.ALL_RESULTS_TYPE,
          evaluation,
        ),
      ),
  }
}

/** Everything that can be known without a document: the query is compiled, but behind a condition that is false. */
function check(
  text: string,
  options: {
    readonly where: string
    readonly evaluation: Options
    readonly nothing: Document
    readonly variables: readonly string[]
  },
): void {
  const { where, evaluation, nothing } = options
  const variables = Object.fromEntries(options.variables.map((name) => [name, null]))
  const { ALL_RESULTS_TYPE } = fontoxpath().evaluateXPath
  try {
    fontoxpath().parseScript(text, evaluation, nothing)
    for (const candidate of unreached(text)) {
      try {
        fontoxpath().evaluateXPath(candidate, nothing, null, variables, ALL_RESULTS_TYPE, {
          ...evaluation,
          disableCache: true,
        })
        return
      } catch (error) {
        // A semicolon that does not end the prolog.
        if (!messageOf(error).includes('XPST0003')) throw error
      }
    }
  } catch (error) {
    throw mistake(error, where, text)
  }
}

/** The query with its body behind `if (false())`. The body begins after the last semicolon of the prolog, if there is one. */
function* unreached(text: string): Generator<string> {
  let at = text.length
  for (let i = 0; i < PROLOG_GUESSES_MAX && at > 0; i += 1) {
    at = text.lastIndexOf(';', at - 1)
    yield `${text.slice(0, at + 1)}\nif (false()) then (\n${text.slice(at + 1)}\n) else ()`
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function mistake(error: unknown, where: string, text: string): Fault {
  const { position } = error as { position?: { start?: { offset?: number; line?: number } } }
  const offset = position?.start?.offset
  const why = briefly(messageOf(error))
  return queryFault('QUERY_SYNTAX', {
    where,
    why,
    expression: text,
    ...(offset === undefined ? {} : { position: offset }),
  })
}

function failure(error: unknown, where: string, text: string): Fault {
  const why = error instanceof RangeError ? 'it calls itself too deep' : briefly(messageOf(error))
  return queryFault('QUERY_FAILED', { where, why, expression: text })
}

/** fontoxpath shows the whole query around its mistake, and then all that it would have liked. */
function briefly(message: string): string {
  const found = /\b[A-Z]{4}[0-9]{4}[:,].*/.exec(message)?.[0] ?? message.split('\n', 1)[0] ?? ''
  if (found.startsWith('XPST0003') && found.length > 100) return 'XPST0003: it does not go on like this'
  return found.length > 300 ? `${found.slice(0, 300)}…` : found
}
