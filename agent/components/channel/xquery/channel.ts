// Channel `xquery`: what a query makes of an XML document.
//
// The document is XML without DTD; the result is UTF-8. A query sees the document and its parameters: there are no functions that
// read files, the network or the environment. Several documents of one are numbered (`a.xml` → `a.1.xml`). Stateless; what it gives
// depends on the clock only where the query asks for it.

import { readFile, stat } from 'node:fs/promises'
import { asFault, Fault } from '#protocol/base/mod.ts'
import type { Channel, ComponentContext, Item, Reject } from '../../contract.ts'
import { documentOf, withDocument } from '../../document.ts'
import { compileQuery, parseDom, type Query } from '../../xdm/mod.ts'
import { decodeXml, XmlParser } from '../../xml/mod.ts'
import { numbered } from '../numbered.ts'
import { xqueryFault } from './faults.ts'
import { QUERY_CHARS_MAX, RESULTS_MAX } from './limits.ts'
import { type Method, written } from './result.ts'
import type { XquerySettings } from './settings.ts'

const MEDIA_TYPES: Readonly<Record<Method, string>> = {
  xml: 'application/xml',
  text: 'text/plain; charset=utf-8',
  json: 'application/json',
}

export class XqueryChannel implements Channel {
  readonly #settings: XquerySettings
  readonly #context: ComponentContext
  readonly #parser = new XmlParser()
  #query: Query | null = null

  /** Throws QUERY_SYNTAX when the query stands in the settings. */
  constructor(settings: XquerySettings, context: ComponentContext) {
    this.#settings = settings
    this.#context = context
    if (settings.query !== undefined) this.#query = this.#compiled(settings.query, 'xquery: query')
  }

  /** Throws XQUERY_FILE_UNREADABLE, QUERY_SYNTAX. */
  async open(): Promise<void> {
    const { file } = this.#settings
    if (file === undefined) return
    const path = this.#context.resolvePath(file)
    this.#query = this.#compiled(await queryText(path), path)
  }

  #compiled(text: string, where: string): Query {
    const { namespaces = {}, parameters = {}, parameterFields = {} } = this.#settings
    const variables = [...Object.keys(parameters), ...Object.keys(parameterFields)]
    return compileQuery(text, { where, language: 'xquery', namespaces, variables })
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    if (this.#query === null) await this.open()
    const done: Item[] = []
    for (const item of items) {
      try {
        for (const each of await this.#results(item, this.#query as Query)) done.push(each)
      } catch (error) {
        reject({ item, fault: asFault(error, 'xquery') })
      }
    }
    return done
  }

  async #results(item: Item, query: Query): Promise<Item[]> {
    const { field, method, each } = this.#settings
    const text = decodeXml(await documentOf(item, this.#settings))
    // Says what is wrong with it, and where; the DOM's parser would take a DTD.
    this.#parser.parse(text)
    const items = query.all(parseDom(text), this.#variables(item))
    if (each && items.length > RESULTS_MAX)
      throw xqueryFault('XQUERY_RESULT', { why: `more than ${RESULTS_MAX} items` })
    const texts = each ? items.map((one) => written([one], method)) : [written(items, method)]
    return texts.map((result, i) => {
      if (field !== undefined) return withDocument(item, result, { field })
      const name = texts.length === 1 ? {} : numbered(item.row.name, i + 1, texts.length)
      return withDocument(item, Buffer.from(result), {}, { mediaType: MEDIA_TYPES[method], ...name })
    })
  }

  #variables({ row }: Item): Record<string, unknown> {
    const given: Record<string, unknown> = { ...this.#settings.parameters }
    for (const [name, field] of Object.entries(this.#settings.parameterFields ?? {})) {
      const value = Object.hasOwn(row, field) ? row[field] : undefined
      if (value === undefined || (typeof value === 'object' && value !== null)) {
        const why = value === undefined ? `no field ${field}` : `${field} is no plain value`
        throw xqueryFault('XQUERY_PARAMETER_MISSING', { where: `parameterFields.${name}`, why })
      }
      given[name] = value === null ? null : String(value)
    }
    return given
  }
}

async function queryText(path: string): Promise<string> {
  try {
    const { size } = await stat(path)
    if (size > QUERY_CHARS_MAX)
      throw xqueryFault('XQUERY_FILE_UNREADABLE', { where: path, why: `${size} bytes`, limitBytes: QUERY_CHARS_MAX })
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path))
  } catch (cause) {
    if (cause instanceof Fault) throw cause
    throw xqueryFault('XQUERY_FILE_UNREADABLE', { where: path, cause })
  }
}
