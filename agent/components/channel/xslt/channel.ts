// Channel `xslt`: documents by a stylesheet of XSLT 1.0 to 3.0.
//
// The document is XML without DTD, in any encoding it declares rightly; the result is UTF-8. Stateless; compiled once when it opens.

import { readFile, stat } from 'node:fs/promises'
import { asFault, Fault } from '#protocol/base/mod.ts'
import type { Channel, ComponentContext, Item, Reject } from '../../contract.ts'
import { compileTemplate, type Template } from '../../destination/hub/template.ts'
import { documentOf, withDocument } from '../../document.ts'
import { decodeXml, XmlParser } from '../../xml/mod.ts'
import { treeReader } from '../mapping/xslt/tree.ts'
import type { Parameters, Stylesheet, StylesheetSource } from './engine.ts'
import { xsltFault } from './faults.ts'
import { COMPILED_BYTES_MAX, STYLESHEET_BYTES_MAX } from './limits.ts'
import { saxonEngine } from './saxon.ts'
import type { XsltSettings } from './settings.ts'

export class XsltChannel implements Channel {
  readonly #settings: XsltSettings
  readonly #context: ComponentContext
  readonly #constants: readonly (readonly [string, string])[]
  readonly #fields: readonly (readonly [string, string])[]
  readonly #name: Template | null
  readonly #parser = new XmlParser()
  #stylesheet: Stylesheet | null = null

  constructor(settings: XsltSettings, context: ComponentContext) {
    this.#settings = settings
    this.#context = context
    this.#constants = Object.entries(settings.parameters ?? {})
    this.#fields = Object.entries(settings.parameterFields ?? {})
    this.#name = settings.name === undefined ? null : compileTemplate(settings.name)
  }

  /** Throws XSLT_STYLESHEET_UNREADABLE, XSLT_STYLESHEET_INVALID, XSLT_REFUSED. */
  async open(): Promise<void> {
    this.#stylesheet = await this.#compiled()
  }

  async #compiled(): Promise<Stylesheet> {
    const source = await this.#source()
    const stylesheet = saxonEngine(await treeReader()).compile(source)
    for (const warning of stylesheet.warnings) this.#context.log('warn', `xslt: ${warning}`)
    return stylesheet
  }

  async #source(): Promise<StylesheetSource> {
    const { file, stylesheet } = this.#settings
    if (file === undefined) return { text: stylesheet ?? '', compiled: false, path: null }
    const path = this.#context.resolvePath(file)
    const compiled = path.endsWith('.json')
    const limitBytes = compiled ? COMPILED_BYTES_MAX : STYLESHEET_BYTES_MAX
    let bytes: Buffer
    try {
      const { size } = await stat(path)
      if (size > limitBytes)
        throw xsltFault('XSLT_STYLESHEET_INVALID', { where: path, why: `${size} bytes`, limitBytes })
      bytes = await readFile(path)
    } catch (cause) {
      if (cause instanceof Fault) throw cause
      throw xsltFault('XSLT_STYLESHEET_UNREADABLE', { where: path, cause })
    }
    return { text: compiled ? bytes.toString() : decodeXml(bytes), compiled, path }
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    if (this.#stylesheet === null) await this.open()
    const done: Item[] = []
    for (const item of items) {
      try {
        done.push(await this.#transformed(item, this.#stylesheet as Stylesheet))
      } catch (error) {
        reject({ item, fault: asFault(error, 'xslt') })
      }
    }
    return done
  }

  async #transformed(item: Item, stylesheet: Stylesheet): Promise<Item> {
    const text = decodeXml(await documentOf(item, this.#settings))
    // Says what is wrong with it, and where; the engine would not.
    this.#parser.parse(text)
    const result = stylesheet.transform(text, this.#parametersOf(item))
    if (this.#settings.field !== undefined) return withDocument(item, result, this.#settings)
    const { name } = item.row
    const stem = typeof name === 'string' ? name.replace(/(?<=[^/])\.[^./]*$/, '') : ''
    const mediaType = this.#settings.mediaType ?? mediaTypeOf(stylesheet)
    return withDocument(item, Buffer.from(result), this.#settings, {
      ...(this.#name === null ? {} : { name: this.#name({ ...item.row, stem }) }),
      mediaType,
    })
  }

  #parametersOf({ row }: Item): Parameters {
    const given = new Map(this.#constants)
    for (const [name, field] of this.#fields) {
      const value = Object.hasOwn(row, field) ? row[field] : undefined
      if (value === undefined || value instanceof Uint8Array || (value !== null && typeof value === 'object')) {
        const why = value === undefined ? `no field ${field}` : `${field} is no plain value`
        throw xsltFault('XSLT_PARAMETER_MISSING', { where: `parameterFields.${name}`, why })
      }
      if (value !== null) given.set(name, String(value))
    }
    return given
  }
}

function mediaTypeOf({ mediaType, method }: Stylesheet): string {
  if (mediaType !== null) return mediaType
  switch (method) {
    case 'html':
      return 'text/html'
    case 'xhtml':
      return 'application/xhtml+xml'
    case 'text':
      return 'text/plain'
    case 'json':
      return 'application/json'
    default:
      return 'application/xml'
  }
}
