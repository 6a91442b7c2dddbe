// What the tests of the channel `envelope` share. Not imported by anything else.

import type { Item, Row } from '../../contract.ts'
import { collector, settingsOf, testContext } from '../../support/testing.ts'
import { EnvelopeChannel, envelopeSettings } from './mod.ts'

export type Run = { readonly items: readonly Item[]; readonly fault: string; readonly code: string }

/** One item through one channel. */
export function runnerIn(root: string): (settings: object, item: Item) => Promise<Run> {
  const context = testContext(root)
  return async (settings, item) => {
    const { rejects, reject } = collector()
    const items = await new EnvelopeChannel(settingsOf(envelopeSettings, settings), context).process([item], reject)
    const [first] = rejects
    return { items, fault: first?.fault.describe() ?? '', code: first?.fault.code ?? '' }
  }
}

export const fileOf = (bytes: string | Uint8Array, row: Row = {}): Item => ({
  row: { name: 'a', ...row },
  ref: 7,
  content: { kind: 'bytes', bytes: Buffer.from(bytes) },
})

export const bytesOf = (item: Item | undefined): Buffer =>
  item?.content?.kind === 'bytes' ? Buffer.from(item.content.bytes) : Buffer.alloc(0)

export const textOf = (item: Item | undefined): string => bytesOf(item).toString()

/** Lines as MIME has them. */
export const lines = (...all: string[]): string => all.join('\r\n')
