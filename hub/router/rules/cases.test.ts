import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { IsolatedPool } from '#agent/components/isolation/mod.ts'
import { systemClock } from '#protocol/base/mod.ts'
import { type CaseOutcome, parseRuleSet, runCases } from './mod.ts'

const RULES = `
rules:
  - name: permits
    topics: permits/#
    where: { area: 4452 }
    pipeline: names
    topic: tax/{topic}
    to: [tax, copy]
  - { name: documents, topics: documents/#, when: { xpath: /e/id }, to: archive }
  - { name: all documents, topics: documents/#, to: copy }
  - { name: once, topics: once, pipeline: keeping, to: tax }
pipelines:
  names: { steps: [{ map: { rename: { taxpayerId: 纳税人识别号 }, keep: [纳税人识别号] } }] }
  keeping: { steps: [{ deduplicate: { key: [id] } }] }
cases:
`

async function outcomes(t: Test, cases: string): Promise<CaseOutcome[]> {
  const folder = await mkdtemp(join(tmpdir(), 'causeway-cases-'))
  const pool = new IsolatedPool()
  t.teardown(async () => {
    await pool.close()
    await rm(folder, { recursive: true, force: true })
  })
  await writeFile(join(folder, 'permit.json'), '{"纳税人识别号":"x1"}')
  const parsed = parseRuleSet(RULES + cases, { file: 'rules.yaml' })
  if (!parsed.ok) throw parsed.fault[0]
  const found: CaseOutcome[] = []
  const options = {
    folder,
    dataDir: folder,
    clock: systemClock,
    pool,
    readFile: (path: string) => readFile(join(folder, path)),
  }
  for await (const outcome of runCases(parsed.value, options)) found.push(outcome)
  return found
}

t.test('what came as expected', async (t) => {
  const found = await outcomes(
    t,
    `
  - name: a permit
    input: { topic: permits/a, headers: { area: 4452 }, file: permit.json, contentType: application/json }
    expect:
      rules: permits
      queues: [tax, copy]
      documents: { topic: tax/permits/a, queue: tax, json: { taxpayerId: x1 } }
  - name: no rule
    input: { topic: permits/a, headers: { area: 1 } }
    expect: { rules: [], queues: [], reason: NO_ROUTE, documents: [] }
  - name: refused by a pipeline
    input: { topic: permits/a, headers: { area: 4452 }, json: { other: 1 } }
    expect: { rules: permits, queues: [], reason: MAP_FIELD_MISSING }
  - name: no object for the pipeline
    input: { topic: permits/a, headers: { area: 4452 }, json: [1] }
    expect: { reason: JSON_NOT_OBJECT }
  - name: a document
    input: { topic: documents/a, body: <e><id/></e>, contentType: text/xml }
    expect: { rules: [documents, all documents], queues: [copy, archive] }
  - name: a broken document
    input: { topic: documents/a, body: <e, contentType: text/xml }
    expect: { rules: all documents, queues: copy, reason: XML_NOT_WELL_FORMED }
  - name: first of its kind
    input: { topic: once, json: { id: 1 } }
    expect: { queues: tax, documents: { json: { id: 1 } } }
  - name: first of its kind again, because each case begins anew
    input: { topic: once, json: { id: 1 } }
    expect: { queues: tax }
`,
  )
  for (const { name, differences } of found) t.same(differences, [], name)
  t.equal(found.length, 8)
})

t.test('what came otherwise', async (t) => {
  const [wrong, unseen, missing, fewer] = await outcomes(
    t,
    `
  - name: all of it
    input: { topic: permits/a, headers: { area: 4452 }, file: permit.json, contentType: application/json }
    expect: { rules: documents, queues: archive, reason: X, documents: { topic: y, queue: q, json: { taxpayerId: x2 } } }
  - name: a reason that nobody expects
    input: { topic: documents/a, body: <e, contentType: text/xml }
    expect: { queues: copy }
  - name: a file that is not there
    input: { topic: documents/a, file: nothing.xml }
    expect: { queues: copy }
  - name: fewer documents
    input: { topic: documents/a, body: <e/>, contentType: text/xml }
    expect: { documents: [{ body: <e/> }] }
`,
  )
  t.match(wrong?.differences, [
    { what: 'rules', expected: 'documents', got: 'permits' },
    { what: 'queues', expected: 'archive', got: 'copy, tax' },
    { what: 'reason', expected: 'X', got: 'none' },
    { what: 'documents[0].queue', expected: 'q', got: 'tax, copy' },
    { what: 'documents[0].topic', expected: 'y', got: 'tax/permits/a' },
    { what: 'documents[0] at /taxpayerId', expected: '"x2"', got: '"x1"' },
  ])
  t.match(unseen?.differences, [{ what: 'reason', expected: 'none', got: /^XML_NOT_WELL_FORMED/ }])
  t.match(missing?.differences, [{ what: 'case' }])
  t.match(fewer?.differences, [{ what: 'documents', expected: '1', got: '0' }])
})

t.test('a file larger than a message is large content', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'causeway-cases-'))
  const pool = new IsolatedPool()
  t.teardown(async () => {
    await pool.close()
    await rm(folder, { recursive: true, force: true })
  })
  const rows = Array.from({ length: 40_000 }, (_, i) => `<row><n>${i}</n><text>some text of it</text></row>`).join('')
  await writeFile(join(folder, 'large.xml'), `<rows>${rows}</rows>`)
  await writeFile(join(folder, 'large.json'), JSON.stringify({ text: 'x'.repeat(2 ** 21) }))
  const rules = (bound: string) => `
documentBytesMax: ${bound}
rules:
  - { name: counted, topics: x, pipeline: count, to: counts }
  - { name: passed, topics: x, pipeline: pass, to: all }
  - { name: many, topics: x, when: { xpath: count(/rows/row) > 100 }, to: many }
pipelines:
  count: { steps: [{ convert: { from: { xml: { path: /rows/row } }, to: { csv: {} } } }] }
  pass: { steps: [{ filter: { where: size > 1 } }] }
cases:
  - name: large
    input: { topic: x, file: large.xml, contentType: application/xml }
    expect: ${
      bound === '16MiB'
        ? '{ rules: [counted, passed, many], queues: [all, counts, many] }'
        : '{ rules: [counted, passed], queues: [all], reason: DOCUMENT_TOO_LARGE, documents: { queue: all, file: large.xml } }'
    }
`
  const more = `
  - name: a document, not a row
    input: { topic: x, file: large.json, contentType: application/json }
    expect: { queues: [all], reason: XML_NOT_WELL_FORMED, documents: { file: large.json } }
`
  for (const text of [rules('16MiB') + more, rules('1MiB')]) {
    const parsed = parseRuleSet(text, { file: 'rules.yaml' })
    if (!parsed.ok) throw parsed.fault[0]
    const options = {
      folder,
      dataDir: folder,
      clock: systemClock,
      pool,
      readFile: (path: string) => readFile(join(folder, path)),
    }
    for await (const { name, differences } of runCases(parsed.value, options)) t.same(differences, [], name)
  }
})
