// What channels for documents work on: the bytes of an item's content, or a field of its row that holds a document.

import { f } from '#protocol/fields/mod.ts'
import type { Carries, Item, Row } from './contract.ts'
import { componentFault } from './faults.ts'
import { DOCUMENT_BYTES_DEFAULT, DOCUMENT_BYTES_MAX } from './limits.ts'
import { readSmall } from './support/mod.ts'

/** Settings that channels for documents share: spread them into the channel's own. */
export const documentSettings = {
  field: f.text({
    doc: 'field of the row that holds the document; left out: the content of the item is the document',
    maxLength: 200,
    optional: true,
  }),
  bytesMax: f.bytes({
    doc: 'largest document taken; it is held in memory whole',
    min: 1,
    max: DOCUMENT_BYTES_MAX,
    default: DOCUMENT_BYTES_DEFAULT,
  }),
}

/** Where the document of an item is, and how large it may be. */
export type DocumentPlace = { readonly field?: string | undefined; readonly bytesMax: number }

/**
 * The document's bytes; of a text in a field its UTF-8. Not to be changed.
 * Faults: `DOCUMENT_MISSING`, `DOCUMENT_TOO_LARGE`, `DOCUMENT_AT_HUB`, `FILE_STILL_WRITTEN`, `FILE_UNREADABLE`.
 */
export async function documentOf(item: Item, { field, bytesMax }: DocumentPlace): Promise<Buffer> {
  const { row, content } = item
  const bounded = (size: number): void => {
    if (size > bytesMax) throw componentFault('DOCUMENT_TOO_LARGE', { why: `${size} bytes`, limitBytes: bytesMax })
  }
  if (field !== undefined) {
    const value = Object.hasOwn(row, field) ? row[field] : null
    const bytes =
      typeof value === 'string' && value.isWellFormed()
        ? Buffer.from(value)
        : value instanceof Uint8Array
          ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
          : null
    if (bytes === null) throw componentFault('DOCUMENT_MISSING', { where: `field ${field}` })
    bounded(bytes.length)
    return bytes
  }
  if (content === undefined) throw componentFault('DOCUMENT_MISSING', { why: 'the item is a row, not a file' })
  switch (content.kind) {
    case 'hub': {
      bounded(content.size)
      if (content.read === undefined) throw componentFault('DOCUMENT_AT_HUB', { where: `content ${content.id}` })
      // Whoever gave it counts it until this step is done.
      const { bytes } = await content.read()
      bounded(bytes.length)
      return bytes
    }
    case 'bytes': {
      const { bytes } = content
      bounded(bytes.length)
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
    default:
      bounded(content.size)
      return readSmall(content, String(row.name ?? content.path))
  }
}

/** `turns` of a channel that puts another document in the place of the one it takes. */
export function documentTurns({ field }: { readonly field?: string | undefined }, given: Carries): Carries {
  if (field === undefined && given === 'rows') throw componentFault('DOCUMENT_MISSING', { why: 'rows come here' })
  return given
}

/** What an item's document is, besides its bytes. */
export type DocumentLabel = { readonly name?: string; readonly mediaType?: string }

/** The item with another document in the same place; a field keeps text as text when `bytes` is a string. */
export function withDocument(
  item: Item,
  bytes: Uint8Array | string,
  { field }: Pick<DocumentPlace, 'field'>,
  label: DocumentLabel = {},
): Item {
  if (field !== undefined) return { ...item, row: { ...item.row, [field]: bytes } }
  const content = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
  const row: Row = { ...item.row, ...label, size: content.length }
  return { row, ref: item.ref, content: { kind: 'bytes', bytes: content } }
}
