// Documents of a flow: fetched once for a portion, put into files that keep their identity, gone when the portion has arrived.

import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { HubContent } from '../components/contract.ts'
import { componentFault } from '../components/faults.ts'
import { FlowDocuments } from './documents.ts'
import { testFault } from './testing.ts'

const BYTES_MAX = 1000

function scene(t: Test) {
  const folder = join(t.testdir(), 'documents')
  return { folder, documents: new FlowDocuments({ folder, bytesMax: BYTES_MAX }) }
}

/** What a download does, in turn; a text is what arrives. */
function contentOf(...turns: (string | Error)[]): HubContent & { downloads: number } {
  const content = {
    kind: 'hub' as const,
    id: 'a'.repeat(32),
    size: 0,
    downloads: 0,
    download: async ({ path }: { path: string }) => {
      const turn = turns[content.downloads++] ?? 'none is left'
      if (typeof turn !== 'string') throw turn
      writeFileSync(path, turn)
      return { name: '', mediaType: '', size: turn.length }
    },
  }
  return content
}

t.test('fetched once for a portion, also after a crash', async (t) => {
  const { folder, documents } = scene(t)
  const content = contentOf('first', 'second')
  t.equal(String((await documents.read(content)).bytes), 'first')
  t.equal(String((await documents.read(content)).bytes), 'first')
  const restarted = new FlowDocuments({ folder, bytesMax: BYTES_MAX })
  t.equal(String((await restarted.read(content)).bytes), 'first')
  t.equal(content.downloads, 1)
  await restarted.done()
  t.notOk(existsSync(folder))
  t.equal(String((await restarted.read(content)).bytes), 'second')
})

t.test('what may pass is tried again, what is too large is refused', async (t) => {
  const { documents } = scene(t)
  const away = [
    testFault('TEST_AWAY', { retry: true }),
    new Error('odd'),
    componentFault('DOCUMENT_TOO_LARGE', { sizeBytes: 5000 }),
  ]
  const content = contentOf(...away, 'x'.repeat(BYTES_MAX + 1), testFault('TEST_REFUSED'))
  await t.rejects(documents.read(content), { code: 'TEST_AWAY' })
  await t.rejects(documents.read(content), { code: 'DIRECTORY_IO', details: { retry: true } })
  const over = { code: 'DOCUMENT_TOO_LARGE', remedy: /documentBytesMax/ }
  await t.rejects(documents.read(content), { ...over, message: /5000 bytes/ })
  await t.rejects(documents.read({ ...content, size: BYTES_MAX + 2 }), { ...over, message: /1002 bytes/ })
  t.equal(content.downloads, 3)
  await t.rejects(documents.read(content), { ...over, message: /1001 bytes/ })
  await documents.done()
  await t.rejects(documents.read(content), { code: 'TEST_REFUSED', details: { retry: undefined } })
})

t.test('of what was fetched the oldest goes when it is too much', async (t) => {
  const { folder, documents } = scene(t)
  for (let i = 0; i < 9; i++) await documents.read({ ...contentOf('x'.repeat(BYTES_MAX)), id: `${i}`.repeat(32) })
  t.same(
    readdirSync(folder).map((name) => name.at(-1)),
    ['5', '6', '7', '8'],
  )
})

t.test('what is made again is the same file', async (t) => {
  const { folder, documents } = scene(t)
  t.equal(await documents.hasMade(), false)
  const first = await documents.put(Buffer.from('made'))
  t.equal(await documents.hasMade(), true)
  t.match(first, { kind: 'local', size: 4, changedMs: statSync(first.path).mtimeMs })
  t.equal(readFileSync(first.path, 'utf8'), 'made')
  const restarted = new FlowDocuments({ folder, bytesMax: BYTES_MAX })
  t.equal(await restarted.hasMade(), true, 'nobody knows whether it has arrived')
  t.same(await restarted.put(Buffer.from('made')), first)
  t.equal(readdirSync(folder).length, 1)
  await restarted.done()
  t.equal(await restarted.hasMade(), false)
  await restarted.done()
})
