// Rules and messages of the scenario `route`: permits between departments.

import type { PredicateSpec } from '#agent/components/predicates/mod.ts'
import { BatchBuilder } from '#protocol/codec/mod.ts'

export const CONTENT_RULES = 50
export const DOCUMENTS = 200
const KINDS = ['food', 'work', 'build', 'trade', 'water'] as const
const STATES = ['filed', 'granted', 'refused', 'withdrawn'] as const

/** Conditions as they are written in practice: attributes, texts, numbers, parts of texts, what is there and what is not. */
export function conditions(): PredicateSpec[] {
  return Array.from({ length: CONTENT_RULES }, (_, i): PredicateSpec => {
    const kind = KINDS[i % 5] as string
    const district = `3301${String(i).padStart(2, '0')}`
    const forms = [
      `/permit/@kind = '${kind}' and /permit/office/@district = '${district}'`,
      `/permit/state = '${STATES[i % 4]}'`,
      `/permit/fees/fee[@name = 'stamp'] > ${i * 10}`,
      `contains(/permit/holder/name, '${String.fromCodePoint(0x4e00 + i * 37)}')`,
      `count(/permit/files/file) > ${i % 7} and not(/permit/withdrawn)`,
      `starts-with(/permit/office/@district, '33') and /permit/area >= ${i * 5}`,
      `/permit/holder/id = '${district}' or /permit/@number = '${i}'`,
      `/permit/files/file[@type = 'pdf']`,
      `/permit[@kind = '${kind}']/office[@district != '${district}']`,
      `boolean(/permit/holder/agent) and /permit/fees/@total < ${1000 - i}`,
    ]
    return { xpath: forms[i % forms.length] as string }
  })
}

/** About 2 KB each, all different. */
export function documents(): Buffer[] {
  return Array.from({ length: DOCUMENTS }, (_, i) => {
    const fees = Array.from(
      { length: 4 },
      (_, k) => `<fee name="${k === 0 ? 'stamp' : `item${k}`}">${(i * 7 + k * 50) % 600}</fee>`,
    )
    const files = Array.from(
      { length: 8 },
      (_, k) =>
        `<file type="${k % 3 === 0 ? 'pdf' : 'dwg'}" size="${i * 100 + k}"><title>附件 ${k} 号 plan of the ground floor ${i}</title></file>`,
    )
    const text = [
      '<?xml version="1.0" encoding="UTF-8"?>',
      `<permit kind="${KINDS[i % 5]}" number="${i}">`,
      `<office district="3301${String(i % 60).padStart(2, '0')}"><name>杭州市行政审批局 ${i}</name><clerk>王芳</clerk></office>`,
      `<holder><name>${String.fromCodePoint(0x4e00 + ((i * 53) % 2000))}杰 Trading</name><id>3301${String(i % 99).padStart(2, '0')}</id>`,
      i % 3 === 0 ? '<agent>Li Wei</agent></holder>' : '</holder>',
      `<state>${STATES[i % 4]}</state><area>${(i * 13) % 400}</area>`,
      `<fees total="${(i * 31) % 1200}">${fees.join('')}</fees>`,
      `<files>${files.join('\n')}</files>`,
      `<remarks>${'The ground floor is used as a shop; the yard stays open to the lane. '.repeat(12)}</remarks>`,
      i % 9 === 0 ? '<withdrawn/>' : '',
      '</permit>',
    ]
    return Buffer.from(text.join('\n'))
  })
}

export type HeaderRule = {
  readonly name: string
  readonly topics: string[]
  readonly where: Record<string, string[]>
  readonly to: string[]
}

/** All of one topic, told apart by a header with another value for each. */
export const headerRules = (count: number): HeaderRule[] =>
  Array.from({ length: count }, (_, i) => ({
    name: `area ${i}`,
    topics: ['register/#'],
    where: { area: [String(i)], kind: ['permit', 'plan'] },
    to: [`queue-${i % 10}`],
  }))

export const BATCH_MESSAGES = 1_000

export type Alike = 'ten' | 'none' | 'never'

/**
 * Sealed batches of small messages, which go round all rules: ten after one another with the same headers, no two after one another,
 * or no two at all.
 */
export function headerBatches(rules: number, { batches, alike }: { batches: number; alike: Alike }): Buffer[] {
  const perEnvelope = alike === 'ten' ? 10 : 1
  let next = 0
  return Array.from({ length: batches }, (_, b) => {
    const builder = new BatchBuilder()
    for (let i = 0; i < BATCH_MESSAGES / perEnvelope; i++) {
      const area = String((next++ * 7919) % rules)
      const headers = alike === 'never' ? { area, kind: 'permit', number: `P-${next}` } : { area, kind: 'permit' }
      for (let k = 0; k < perEnvelope; k++) builder.add('register/permits', headers, null, Buffer.alloc(100, k))
    }
    const sealed = {
      origin: 'a',
      stream: 's',
      epoch: 1,
      firstSeq: 1 + b * BATCH_MESSAGES,
      sealedAtMs: 0,
      key: null,
    } as const
    return builder.seal({ ...sealed, compression: 'none', tree: false })
  })
}
