// Channel `xslt`: documents by a stylesheet of XSLT 1.0 to 3.0.
//
// The document is XML without DTD, in any encoding it declares rightly; the result is UTF-8. Stateless; compiled once when it opens: as
// a mapping when the stylesheet is one (mapping/xslt/import.ts says when), else by the engine.

import { readFile, stat } from 'node:fs/promises'
import { asFault, Fault } from '#protocol/base/mod.ts'
import type { Channel, ComponentContext, Item, Reject } from '../../contract.ts'
import { compileTemplate, type Template } from '../../destination/hub/template.ts'
import { documentOf, withDocument } from '../../document.ts'
import { decodeXml, XML_DECLARATION, XmlParser } from '../../xml/mod.ts'
import { compileMapping } from '../mapping/compile.ts'
import { type Imported, importXslt } from '../mapping/xslt/import.ts'
import { type ReadTree, treeReader } from '../mapping/xslt/tree.ts'
import type { Parameters, Stylesheet, StylesheetSource } from './engine.ts'
import { xsltFault } from './faults.ts'
import { COMPILED_BYTES_MAX, STYLESHEET_BYTES_MAX } from './limits.ts'
import { located, reasonOf, saxonEngine } from './saxon.ts'
import type { XsltSettings } from './settings.ts'

/** A stylesheet with the parser that checks and reads its documents. */
type Ready = Pick<Stylesheet, 'method' | 'mediaType' | 'transform'> & { readonly parser: XmlParser }

export class XsltChannel implements Channel {
  readonly #settings: XsltSettings
  readonly #context: ComponentContext
  readonly #constants: readonly (readonly [string, string])[]
  readonly #fields: readonly (readonly [string, string])[]
  readonly #name: Template | null
  #ready: Ready | null = null

  constructor(settings: XsltSettings, context: ComponentContext) {
    this.#settings = settings
    this.#context = context
    this.#constants = Object.entries(settings.parameters ?? {})
    this.#fields = Object.entries(settings.parameterFields ?? {})
    this.#name = settings.name === undefined ? null : compileTemplate(settings.name)
  }

  /** Throws XSLT_STYLESHEET_UNREADABLE, XSLT_STYLESHEET_INVALID, XSLT_REFUSED. */
  async open(): Promise<void> {
    await this.#readied()
  }

  async #readied(): Promise<Ready> {
    this.#ready ??= await this.#compiled()
    return this.#ready
  }

  async #compiled(): Promise<Ready> {
    const source = await this.#source()
    const readTree = await treeReader()
    const mapped = this.#asMapping(source, readTree)
    if (mapped !== null) return mapped
    const stylesheet = saxonEngine(readTree).compile(source)
    for (const warning of stylesheet.warnings) this.#context.log('warn', `xslt: ${warning}`)
    const { method, mediaType } = stylesheet
    const parser = new XmlParser()
    return {
      method,
      mediaType,
      parser,
      transform(document, parameters) {
        // Says what is wrong with the document, and where; the engine would not.
        parser.parse(document)
        return stylesheet.transform(document, parameters)
      },
    }
  }

  #asMapping({ text, compiled, path }: StylesheetSource, readTree: ReadTree): Ready | null {
    if (this.#settings.engine === 'saxon' || compiled || this.#fields.length > 0) return null
    let imported: Imported
    try {
      imported = importXslt(text, readTree, new Map(this.#constants))
    } catch (error) {
      throw error instanceof Fault && path !== null ? located(error, path) : error
    }
    if (!imported.ok) {
      this.#context.log('debug', `xslt: no mapping, by SaxonJS: ${imported.why}`, { line: imported.line })
      return null
    }
    const mapping = compileMapping(imported.mapping)
    const parser = new XmlParser(mapping.names)
    const { declaration, mediaType } = imported
    return {
      method: 'xml',
      mediaType,
      parser,
      transform(document) {
        try {
          const result = mapping.map(parser.parse(document))
          return declaration ? result : result.slice(XML_DECLARATION.length)
        } catch (error) {
          if (!(error instanceof Fault) || error.code !== 'MAPPING_STOPPED') throw error
          throw xsltFault('XSLT_TERMINATED', { why: reasonOf(error), errorCode: 'XTMM9000' })
        }
      },
    }
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
    const ready = await this.#readied()
    const done: Item[] = []
    for (const item of items) {
      try {
        done.push(await this.#transformed(item, ready))
      } catch (error) {
        reject({ item, fault: asFault(error, 'xslt') })
      }
    }
    // The last document may be large.
    ready.parser.release()
    return done
  }

  async #transformed(item: Item, ready: Ready): Promise<Item> {
    const text = decodeXml(await documentOf(item, this.#settings))
    const result = ready.transform(text, this.#parametersOf(item))
    if (this.#settings.field !== undefined) return withDocument(item, result, this.#settings)
    const { name } = item.row
    const stem = typeof name === 'string' ? name.replace(/(?<=[^/])\.[^./]*$/, '') : ''
    const mediaType = this.#settings.mediaType ?? mediaTypeOf(ready)
    if (this.#settings.mediaType === undefined && mediaType === 'application/xml') refuseFragment(ready, result)
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

/**
 * XSLT may write what is no document: a text when no template fits (the wrong namespace, mostly), two roots, what is not escaped. Whoever
 * wants that says by `mediaType` or xsl:output what it is.
 */
function refuseFragment({ method, parser }: Ready, result: string): void {
  if (method === null && /^\s*(?:<\?xml[^>]*>\s*)?<(?:!DOCTYPE )?html\b/i.test(result)) return
  try {
    parser.parse(result)
  } catch (error) {
    const fault = asFault(error)
    // A DOCTYPE may be wanted.
    if (fault.code === 'XML_NOT_WELL_FORMED') throw xsltFault('XSLT_RESULT', { why: fault.message, cause: fault })
  }
}

function mediaTypeOf({ mediaType, method }: Ready): string {
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
