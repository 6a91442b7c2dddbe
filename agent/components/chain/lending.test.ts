// Large documents on their way through a chain: read when a step asks, one at a time, what comes of them put away at once.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Fault } from '#protocol/base/mod.ts'
import type { Content, HubContent, Item } from '../contract.ts'
import { IsolatedPool } from '../isolation/mod.ts'
import { testContext } from '../support/testing.ts'
import { testEntries, testFault, testThreadEntries } from './entries.testing.ts'
import { chainOf, type LargeDocuments } from './mod.ts'

const INLINE_BYTES_MAX = 100_000

/** Documents of one letter each, by their id, and what is done with them, in order. */
class Documents implements LargeDocuments {
  readonly inlineBytesMax = INLINE_BYTES_MAX
  readonly done: string[] = []
  readonly failures = new Map<string, unknown[]>()
  readonly made = new Map<string, Uint8Array>()
  heldMax = 0
  #held = 0

  content(id: string, size: number): HubContent {
    const read = async () => {
      const failure = this.failures.get(id)?.shift()
      if (failure !== undefined) throw failure
      this.#held += 1
      this.heldMax = Math.max(this.heldMax, this.#held)
      this.done.push(`read ${id}`)
      return {
        bytes: Buffer.alloc(size, id),
        release: () => {
          this.#held -= 1
          this.done.push(`release ${id}`)
        },
      }
    }
    return { kind: 'hub', id, size, read, download: () => Promise.reject(new Error('nobody downloads')) }
  }

  async put(bytes: Uint8Array): Promise<Content> {
    const id = String.fromCharCode(bytes[0] as number).toUpperCase()
    this.done.push(`put ${id}`)
    this.made.set(id, bytes)
    return this.content(id, bytes.length)
  }
}

async function chain(t: Test, steps: readonly string[], way: 'here' | 'threads') {
  const root = mkdtempSync(join(tmpdir(), 'causeway-lending-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  const pool = way === 'threads' ? new IsolatedPool({ threads: 2 }) : null
  const specs = steps.map((step) => {
    const [type = '', times] = step.split(' ')
    return { type, settings: { name: Number(times) } }
  })
  const context = testContext(root)
  const made = chainOf(specs, { context, entries: testEntries, threadEntries: testThreadEntries, pool, record: true })
  t.teardown(async () => {
    await made.close()
    await pool?.close()
  })
  await made.open(null)
  return made
}

const large = (documents: Documents, id: string, look = true): Item => ({
  row: { name: id, look },
  ref: id,
  content: documents.content(id, 300_000),
})
const small = (id: string): Item => ({
  row: { look: true },
  ref: id,
  content: { kind: 'bytes', bytes: Buffer.from(id) },
})
const shown = ({ ref, content }: Item) =>
  content?.kind === 'hub'
    ? `${ref}: ${content.id} ${content.size}`
    : content?.kind === 'bytes' && `${ref}: ${content.bytes}`

for (const way of ['here', 'threads'] as const) {
  t.test(`${way}: read when asked for, one at a time, and put away before the next`, async (t) => {
    const made = await chain(t, ['isolated-document 2'], way)
    const documents = new Documents()
    const items = [small('s'), large(documents, 'a'), large(documents, 'b', false), small('t'), large(documents, 'c')]
    const { items: out, rejects } = await made.process(items, undefined, documents)
    t.same(rejects, [])
    t.same(out.map(shown), ['s: ss', 'a: A 600000', 'b: b 300000', 't: tt', 'c: C 600000'])
    t.same(documents.done, ['read a', 'put A', 'release a', 'read c', 'put C', 'release c'])
    t.ok(Buffer.from(documents.made.get('C') as Uint8Array).equals(Buffer.alloc(600_000, 'c')))
    t.equal(documents.heldMax, 1)
  })

  t.test(
    `${way}: a step that looks and passes it on copies nothing; what a step puts away the next can read`,
    async (t) => {
      const made = await chain(t, ['isolated-document 0', 'isolated-document 1'], way)
      const documents = new Documents()
      const { items: out, steps } = await made.process([large(documents, 'a')], undefined, documents)
      t.same(out.map(shown), ['a: A 300000'])
      t.equal(documents.heldMax, 1)
      t.equal(steps[0]?.digestIn, steps[0]?.digestOut, 'the first passed it on')
      const twice = await chain(t, ['document 1', 'isolated-document 2'], way)
      const { items: more } = await twice.process([large(documents, 'x')], undefined, documents)
      t.same(more.map(shown), ['x: X 600000'])
      t.equal(documents.heldMax, 1)
    },
  )

  t.test(`${way}: what may pass is nobody's fault, anything else is the item's`, async (t) => {
    const made = await chain(t, ['isolated-document 1'], way)
    const documents = new Documents()
    documents.failures.set('a', [
      testFault('TEST_AWAY', { retry: true }),
      new TypeError('broken'),
      testFault('TEST_REFUSED'),
    ])
    const items = [large(documents, 'a'), large(documents, 'b')]
    await t.rejects(made.process(items, undefined, documents), { code: 'TEST_AWAY' })
    await t.rejects(made.process(items, undefined, documents), { message: 'broken' })
    const { items: out, rejects } = await made.process(items, undefined, documents)
    t.same(out.map(shown), ['b: B 300000'])
    t.match(rejects, [{ item: { ref: 'a', content: { id: 'a' } }, fault: { code: 'TEST_REFUSED' }, step: 1 }])
    t.ok(rejects[0]?.fault instanceof Fault)
    t.equal(documents.heldMax, 1)
  })

  t.test(`${way}: without anybody who lends it is refused`, async (t) => {
    const made = await chain(t, ['isolated-document 1'], way)
    const download = () => Promise.reject(new Error('nobody downloads'))
    const item: Item = { row: { look: true }, ref: 1, content: { kind: 'hub', id: 'a', size: 5, download } }
    const { rejects } = await made.process([item], undefined, new Documents())
    t.match(rejects, [{ fault: { code: 'DOCUMENT_AT_HUB' } }])
  })
}
