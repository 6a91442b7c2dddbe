// `convert` of texts: another encoding, and nothing else; but an XML declaration at the beginning is made to tell the truth.

import { asFault } from '#protocol/base/mod.ts'
import type { Channel, Item, Reject } from '../../contract.ts'
import { documentOf, withDocument } from '../../document.ts'
import { nameOf } from './document-channel.ts'
import { textOf } from './lines.ts'
import { namingOf } from './naming.ts'
import type { ConvertSettings, TextFrom, TextTo } from './settings.ts'
import { TextSink } from './text-sink.ts'

/** Text encoded at a time: what cannot be is found without encoding all before. */
const PIECE_CHARS = 65_536

export class TextChannel implements Channel {
  readonly #settings: ConvertSettings
  readonly #from: TextFrom
  readonly #to: TextTo

  constructor(settings: ConvertSettings, { from, to }: { readonly from: TextFrom; readonly to: TextTo }) {
    this.#settings = settings
    this.#from = from
    this.#to = to
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    const out: Item[] = []
    for (const item of items) {
      const name = nameOf(item, this.#settings.field)
      try {
        const bytes = await documentOf(item, this.#settings)
        out.push(this.#converted(item, textOf(bytes, this.#from.encoding, name)))
      } catch (error) {
        reject({ item, fault: asFault(error, name) })
      }
    }
    return out
  }

  #converted(item: Item, text: string): Item {
    const { encoding, bom } = this.#to
    const { field, name, bytesMax } = this.#settings
    const sink = new TextSink({ encoding, bom, bytesMax })
    const adapted = declaring(text, encoding.replace(/^utf-16.*/, 'utf-16').toUpperCase())
    for (let from = 0; from < adapted.length; ) {
      let to = Math.min(from + PIECE_CHARS, adapted.length)
      if (/[\ud800-\udbff]/.test(adapted[to - 1] ?? '')) to += 1
      sink.write(adapted.slice(from, to))
      from = to
    }
    const made = sink.end()
    if (field !== undefined) return withDocument(item, made, { field })
    const content = typeof made === 'string' ? Buffer.from(made) : made
    return withDocument(
      item,
      content,
      {},
      name === undefined ? {} : { name: namingOf(name)({ row: item.row, content, rows: 0 }) },
    )
  }
}

function declaring(text: string, encoding: string): string {
  return text.replace(
    /^(<\?xml\s[^>]*?\sencoding\s*=\s*)(?:"[^"]*"|'[^']*')/,
    (_, before: string) => `${before}"${encoding}"`,
  )
}
