// Channel `mapping`: documents or rows by a declarative mapping, compiled once. Stateless.
//
// The document is XML without DTD in any encoding it declares rightly; the result is UTF-8.

import { asFault } from '#protocol/base/mod.ts'
import type { Carries, Channel, ComponentContext, Item, Reject, Row } from '../../contract.ts'
import { compileTemplate, type Template } from '../../destination/hub/template.ts'
import { documentOf, documentTurns, withDocument } from '../../document.ts'
import { decodeXml, XmlParser, XmlTree } from '../../xml/mod.ts'
import { type CompiledMapping, compileMapping } from './compile.ts'
import { loadMapping } from './file.ts'
import { readMapping } from './notation/mod.ts'
import { readRow, writeRow } from './rows.ts'
import type { MappingSettings } from './settings.ts'

/** What is mapped and what for, with the parser that knows the mapping's names. */
type Ready = { readonly compiled: CompiledMapping; readonly parser: XmlParser; readonly rowTree: XmlTree }

export class MappingChannel implements Channel {
  readonly #settings: MappingSettings
  readonly #context: ComponentContext
  readonly #name: Template | null
  readonly #lists: ReadonlySet<string>
  readonly #resultParser = new XmlParser()
  #ready: Ready | null

  /** Throws MAPPING_INVALID. */
  constructor(settings: MappingSettings, context: ComponentContext) {
    this.#settings = settings
    this.#context = context
    this.#name = settings.name === undefined ? null : compileTemplate(settings.name)
    this.#lists = new Set(settings.lists)
    this.#ready = settings.mapping === undefined ? null : readyFor(compileMapping(readMapping(settings.mapping)))
  }

  /** Throws MAPPING_FILE_UNREADABLE, MAPPING_INVALID. */
  async open(): Promise<void> {
    await this.#readied()
  }

  async #readied(): Promise<Ready> {
    const { file = '' } = this.#settings
    this.#ready ??= readyFor(compileMapping(await loadMapping(this.#context.resolvePath(file))))
    return this.#ready
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    const ready = await this.#readied()
    const done: Item[] = []
    for (const item of items) {
      try {
        done.push(this.#placed(item, await this.#mapped(item, ready)))
      } catch (error) {
        reject({ item, fault: asFault(error, 'mapping') })
      }
    }
    // What was mapped last may be large.
    ready.parser.release()
    return done
  }

  async #mapped(item: Item, { compiled, parser, rowTree }: Ready): Promise<string> {
    if (this.#settings.source === 'row') {
      readRow(rowTree, item.row)
      return compiled.map(rowTree)
    }
    return compiled.map(parser.parse(decodeXml(await documentOf(item, this.#settings))))
  }

  #placed(item: Item, result: string): Item {
    const { target, field } = this.#settings
    if (target === 'row') {
      const row = writeRow(this.#resultParser.parse(result), this.#lists)
      this.#resultParser.release()
      return item.content === undefined || this.#settings.source === 'document'
        ? { row, ref: item.ref }
        : { ...item, row }
    }
    if (field !== undefined) return withDocument(item, result, { field })
    const fresh: Row = item.content === undefined ? { modified: null, ...item.row } : item.row
    return withDocument({ ...item, row: fresh }, Buffer.from(result), {}, this.#label(item))
  }

  #label({ row }: Item): { readonly name?: string; readonly mediaType: string } {
    const mediaType = 'application/xml'
    if (this.#name === null) return { mediaType }
    const stem = typeof row.name === 'string' ? row.name.replace(/(?<=[^/])\.[^./]*$/, '') : ''
    return { name: this.#name({ ...row, stem }), mediaType }
  }
}

const readyFor = (compiled: CompiledMapping): Ready => ({
  compiled,
  parser: new XmlParser(compiled.names),
  rowTree: new XmlTree(compiled.names),
})

export function mappingTurns(settings: MappingSettings, given: Carries): Carries {
  const { source, target, field } = settings
  if (source === 'document') documentTurns(settings, given)
  if (target === 'row') return source === 'document' ? 'rows' : given
  return field === undefined ? 'files' : given
}
