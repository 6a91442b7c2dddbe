// Batches of 1000 rows: gathered and sealed, verified as the hub does, read as a consumer does, parts taken out.

import { BatchBuilder, extractFrom, openBatch, openExtract } from '#protocol/codec/mod.ts'
import { type Form, MESSAGES, publicKey, seal, sealed } from './samples.ts'
import type { Case, Suite } from './suite.ts'

const FORMS: Readonly<Record<string, Form>> = {
  'signed as a whole': { compression: 'none', tree: false },
  'provable by message': { compression: 'none', tree: true },
  'zstd, signed as a whole': { compression: 'zstd', tree: false },
}
const PLACES = Array.from({ length: 100 }, (_, i) => i * 10)

export function batch(): Suite {
  const cases: Case[] = []
  for (const [name, form] of Object.entries(FORMS)) {
    const builder = new BatchBuilder()
    const bytes = sealed(form)
    cases.push(
      { name: `build and seal, ${name}`, unit: 'messages', perRun: MESSAGES, run: () => seal(builder, form) },
      {
        name: `verify, ${name}`,
        unit: 'messages',
        perRun: MESSAGES,
        run: () => openBatch(bytes).verify(publicKey),
      },
      { name: `read every body, ${name}`, unit: 'messages', perRun: MESSAGES, run: () => readAll(bytes) },
    )
  }
  const tree = openBatch(sealed({ compression: 'none', tree: true }))
  const extract = extractFrom(tree, PLACES)
  cases.push(
    {
      name: 'take every tenth message out, with its proof',
      unit: 'messages',
      perRun: PLACES.length,
      run: () => extractFrom(tree, PLACES),
    },
    {
      name: 'verify and read these',
      unit: 'messages',
      perRun: PLACES.length,
      run: () => openExtract(extract, () => publicKey),
    },
  )
  return { cases }
}

function readAll(bytes: Buffer): number {
  const message = openBatch(bytes).messages()
  let sum = 0
  for (let i = 0; i < MESSAGES; i++) sum += message(i).body.length
  return sum
}
