// What the tests of `convert` share.

import type { Content, Item, Reject, Row } from '../../contract.ts'
import { collector, settingsOf, testContext } from '../../support/testing.ts'
import { convertChannel, convertSettings } from './mod.ts'

export type Outcome = { readonly items: readonly Item[]; readonly rejects: readonly Reject[] }

/** Runs a channel with these settings, as a flow file would give them. */
export async function convert(root: string, settings: object, items: readonly Item[]): Promise<Outcome> {
  const channel = convertChannel(settingsOf(convertSettings, settings), testContext(root))
  const { rejects, reject } = collector()
  return { items: await channel.process(items, reject), rejects }
}

export function fileOf(content: string | Uint8Array, name = 'list.txt'): Item {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  return {
    row: { name, size: bytes.length, modified: null, mediaType: null },
    ref: name,
    content: { kind: 'bytes', bytes } as Content,
  }
}

/** The rows of a document, or its fault. */
export async function rowsOf(
  root: string,
  from: object,
  content: string | Uint8Array,
  more: object = {},
): Promise<Row[] | Reject['fault']> {
  const { items, rejects } = await convert(root, { from, to: { rows: {} }, ...more }, [fileOf(content)])
  return rejects[0]?.fault ?? items.map(({ row }) => row)
}

/** The document of rows, or the first fault. */
export async function documentOf(
  root: string,
  to: object,
  rows: readonly Row[],
  more: object = {},
): Promise<Buffer | Reject['fault']> {
  const items = rows.map((row, ref) => ({ row, ref }))
  const { items: made, rejects } = await convert(root, { from: { rows: {} }, to, ...more }, items)
  return rejects[0]?.fault ?? bytesOf(made[0])
}

export function bytesOf(item: Item | undefined): Buffer {
  if (item?.content?.kind !== 'bytes') throw new Error('no bytes')
  return Buffer.from(item.content.bytes)
}

export const textOf = (item: Item | undefined): string => bytesOf(item).toString()
