// Channel `decompress`: what gzip, zstd, zip or deflate hold, within bounds on size and ratio that are kept while it comes out.
//
// An archive gives an item for each of its files, all or none; what is packed inside again stays packed. Stateless.

import { asFault } from '#protocol/base/mod.ts'
import type { Channel, ComponentContext, Item, Reject, Row } from '../../contract.ts'
import { documentOf, withDocument } from '../../document.ts'
import { mediaTypeOf } from '../../source/directory/media-types.ts'
import { attachedValue } from '../attached.ts'
import { compressFault } from '../compress/mod.ts'
import { type Coding, inflated, outputBound } from './inflate.ts'
import type { DecompressSettings } from './settings.ts'
import { unzip } from './zip-reader.ts'

const ENDING = /\.(?:gz|gzip|zst|zstd)$/i

export class DecompressChannel implements Channel {
  readonly #settings: DecompressSettings

  constructor(settings: DecompressSettings, _context: ComponentContext) {
    this.#settings = settings
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    const done: Item[] = []
    for (const item of items) {
      try {
        for (const each of await this.#opened(item)) done.push(each)
      } catch (error) {
        reject({ item, fault: asFault(error, 'decompress') })
      }
    }
    return done
  }

  async #opened(item: Item): Promise<readonly Item[]> {
    const bytes = await documentOf(item, this.#settings)
    const { format } = this.#settings
    const found = format === 'auto' ? formatOf(bytes) : format
    return found === 'zip' ? this.#unpacked(item, bytes) : [await this.#inflated(item, bytes, found)]
  }

  async #inflated(item: Item, bytes: Buffer, coding: Coding): Promise<Item> {
    const { bytes: limitBytes, beyond } = outputBound(bytes.length, this.#settings)
    const content = await inflated(coding, bytes, { limitBytes, beyond })
    const { name } = item.row
    const changed = withDocument(item, content, this.#settings)
    if (this.#settings.field !== undefined || !this.#settings.rename) return changed
    const short = typeof name === 'string' ? name.replace(ENDING, '') : null
    const label: Row = {
      mediaType: short === null ? null : mediaTypeOf(short),
      ...(short === null ? {} : { name: short }),
    }
    return { ...changed, row: { ...changed.row, ...label } }
  }

  async #unpacked(item: Item, bytes: Buffer): Promise<readonly Item[]> {
    const { entries, field } = this.#settings
    const members = await unzip(bytes, this.#settings)
    if (entries !== undefined) {
      const list = members.map(({ name, bytes }) =>
        attachedValue({ name, mediaType: mediaTypeOf(name), contentId: null, bytes }),
      )
      const { [field ?? '']: _archive, ...row } = item.row
      return [{ ref: item.ref, row: { ...row, [entries]: list } }]
    }
    if (field !== undefined) {
      const why = 'it is a zip; set `format: zip` and `entries`'
      throw compressFault('COMPRESSED_UNKNOWN', { where: `field ${field}`, why })
    }
    return members.map(({ name, bytes }) => {
      const changed = withDocument(item, bytes, this.#settings, { name })
      return { ...changed, row: { ...changed.row, mediaType: mediaTypeOf(name) } }
    })
  }
}

/** Faults: `COMPRESSED_UNKNOWN`. */
function formatOf(bytes: Buffer): Coding | 'zip' {
  const magic = bytes.length < 4 ? 0 : bytes.readUInt32LE(0)
  if ((magic & 0xffff) === 0x8b1f) return 'gzip'
  if (magic === 0xfd2fb528 || (magic & 0xffff_fff0) >>> 0 === 0x184d_2a50) return 'zstd'
  if (magic === 0x04034b50 || magic === 0x06054b50) return 'zip'
  throw compressFault('COMPRESSED_UNKNOWN', {})
}
