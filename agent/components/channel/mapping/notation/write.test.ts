// What is written is read again as what gives the same.

import t from 'tap'
import { Fault } from '#protocol/base/mod.ts'
import { testSeed } from '#protocol/bytes/testing.ts'
import { randomFrom, settingsOf } from '../../../support/testing.ts'
import { XmlParser } from '../../../xml/mod.ts'
import type { Mapping } from '../ast.ts'
import { compileMapping } from '../compile.ts'
import { parseMapping } from '../file.ts'
import { Maker } from '../xslt/testing.ts'
import { mappingFields, readMapping, writeMapping } from './mod.ts'

const CASES = 300

function outcome(mapping: Mapping, document: string): string {
  try {
    const { names, map } = compileMapping(mapping)
    return map(new XmlParser(names).parse(document))
  } catch (error) {
    if (error instanceof Fault) return error.describe()
    throw error
  }
}

function written(mapping: Mapping): unknown {
  try {
    return JSON.parse(JSON.stringify(writeMapping(mapping)))
  } catch (error) {
    if (error instanceof Fault && error.message.includes('no words for')) return null
    throw error
  }
}

t.test('random mappings', (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const maker = new Maker(randomFrom(seed))
  let compared = 0
  const wrong: unknown[] = []
  for (let i = 0; i < CASES; i += 1) {
    const mapping = maker.mapping()
    const text = written(mapping)
    if (text === null) continue
    const again = readMapping(settingsOf(mappingFields, text))
    for (let j = 0; j < 3; j += 1) {
      const document = maker.document()
      const [expected, got] = [outcome(mapping, document), outcome(again, document)]
      compared += 1
      if (expected !== got) wrong.push({ text, document, expected, got })
    }
  }
  t.same(wrong.slice(0, 2), [])
  t.ok(compared > CASES, `${compared} compared`)
  t.end()
})

t.test('it looks like what a person writes', (t) => {
  const yaml = {
    namespaces: { s: 'urn:s' },
    targetNamespace: 'urn:t',
    tables: { kind: { '1': 'one' } },
    root: {
      list: {
        '@n': { $format: { $count: 's:a/b' } },
        item: {
          $forEach: "s:a/b[@k = 'x'][2]",
          $sort: [{ by: '@k', descending: true }],
          '@at': 'position()',
          name: 'c/d',
          kind: { $lookup: 'kind', key: '@kind', otherwise: { $text: '?' } },
          note: { $when: { equals: ['e', { $text: 'y' }] }, $content: { $normalize: 'note' } },
        },
      },
    },
  }
  t.same(writeMapping(parseMapping(JSON.stringify(yaml), 'test')), yaml)
  t.end()
})
