// Channel `compress`: a document as gzip, zstd, zip or deflate; or several files of a row as one zip.
//
// The same document gives the same bytes on one version of Node: no times and no names of systems go in. Stateless.

import { promisify } from 'node:util'
import { constants, deflate, deflateRaw, gzip, type ZlibOptions, type ZstdOptions, zstdCompress } from 'node:zlib'
import { asFault } from '#protocol/base/mod.ts'
import type { Channel, ComponentContext, Item, Reject } from '../../contract.ts'
import { type DocumentLabel, documentOf, withDocument } from '../../document.ts'
import { componentFault } from '../../faults.ts'
import { attachedIn, pathProblem } from '../attached.ts'
import type { CompressSettings } from './settings.ts'
import { packZip } from './zip-writer.ts'

type Zlib = (bytes: Uint8Array, options: ZlibOptions) => Promise<Buffer>
const inGzip = promisify(gzip) as Zlib
const inDeflate = promisify(deflate) as Zlib
const inDeflateRaw = promisify(deflateRaw) as Zlib
const inZstd = promisify(zstdCompress) as (bytes: Uint8Array, options: ZstdOptions) => Promise<Buffer>

/** RFC 1952: the system that made it; 255 is "unknown", so that all systems make the same. */
const GZIP_SYSTEM_AT = 9
const GZIP_SYSTEM_UNKNOWN = 255

const ENDINGS: Partial<Record<CompressSettings['format'], DocumentLabel>> = {
  gzip: { name: '.gz', mediaType: 'application/gzip' },
  zstd: { name: '.zst', mediaType: 'application/zstd' },
  zip: { name: '.zip', mediaType: 'application/zip' },
}

export class CompressChannel implements Channel {
  readonly #settings: CompressSettings

  constructor(settings: CompressSettings, _context: ComponentContext) {
    this.#settings = settings
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    const done: Item[] = []
    for (const item of items) {
      try {
        done.push(this.#settings.entries === undefined ? await this.#compressed(item) : await this.#packed(item))
      } catch (error) {
        reject({ item, fault: asFault(error, 'compress') })
      }
    }
    return done
  }

  async #compressed(item: Item): Promise<Item> {
    const bytes = await documentOf(item, this.#settings)
    return withDocument(item, await this.#squeeze(bytes, item), this.#settings, this.#label(item))
  }

  #squeeze(bytes: Buffer, { row }: Item): Promise<Buffer> {
    const { format, level, field } = this.#settings
    const zlib: ZlibOptions = level === undefined ? {} : { level }
    switch (format) {
      case 'gzip':
        return inGzip(bytes, zlib).then((out) => {
          out[GZIP_SYSTEM_AT] = GZIP_SYSTEM_UNKNOWN
          return out
        })
      case 'deflate':
        return inDeflate(bytes, zlib)
      case 'deflate-raw':
        return inDeflateRaw(bytes, zlib)
      case 'zstd':
        return inZstd(bytes, {
          pledgedSrcSize: bytes.length,
          params: {
            [constants.ZSTD_c_checksumFlag]: 1,
            ...(level === undefined ? {} : { [constants.ZSTD_c_compressionLevel]: level }),
          },
        })
      default: {
        const name = field === undefined && typeof row.name === 'string' ? row.name : (field ?? 'document')
        const why = pathProblem(name)
        if (why !== null) throw componentFault('ATTACHED_INVALID', { where: 'field name', why })
        return packZip([{ name, bytes }], { level })
      }
    }
  }

  /** One archive of the files in `entries`. */
  async #packed(item: Item): Promise<Item> {
    const { entries = '', bytesMax, level, archiveName } = this.#settings
    const files = attachedIn(item.row, entries, bytesMax).map(({ name, bytes }, i) => {
      if (name === null)
        throw componentFault('ATTACHED_INVALID', { where: `field ${entries}[${i}]`, why: 'it has no name' })
      return { name, bytes }
    })
    if (files.length === 0) throw componentFault('DOCUMENT_MISSING', { where: `field ${entries}`, why: 'no files' })
    const { [entries]: _packed, ...row } = item.row
    const name = typeof row.name === 'string' ? row.name : archiveName
    const archive = await packZip(files, { level })
    const label = { name, mediaType: 'application/zip' }
    return withDocument({ ...item, row }, archive, this.#settings, label)
  }

  #label({ row }: Item): DocumentLabel {
    const ending = ENDINGS[this.#settings.format]
    if (!this.#settings.rename || ending?.name === undefined) return {}
    return typeof row.name === 'string'
      ? { ...ending, name: `${row.name}${ending.name}` }
      : { mediaType: ending.mediaType as string }
  }
}
