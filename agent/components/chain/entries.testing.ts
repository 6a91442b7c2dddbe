// Channels for the tests of chains, which a thread can load too.

import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { asFault, declareFaults } from '#protocol/base/mod.ts'
import { f } from '#protocol/fields/mod.ts'
import { type Channel, type ComponentContext, type Item, ownRef, type Reject } from '../contract.ts'
import { documentOf } from '../document.ts'
import { type ComponentEntry, defineComponent } from '../registry.ts'

export const testFault = declareFaults('chain-test', {
  TEST_REFUSED: { meaning: 'this item cannot be', remedy: 'change it' },
  TEST_AWAY: { meaning: 'not there just now', remedy: 'wait' },
  TEST_UNOPENED: { meaning: 'it cannot be opened', remedy: 'mend it' },
})

/** What an item's field `do` tells a `test` channel of the same `name` to do. */
function does(name: string, item: Item, others: number, context: ComponentContext): readonly Item[] {
  const { row } = item
  const [who, what] = String(row.do ?? '').split(' ')
  if (who === name) {
    if (what === 'refuse') throw testFault('TEST_REFUSED', { where: name })
    if (what === 'away') throw testFault('TEST_AWAY', { retry: true })
    if (what === 'mistake') throw new TypeError('a mistake')
    if (what === 'mistake-with-others' && others > 0) throw new TypeError('too many')
    if (what === 'loop') for (;;);
    if (what === 'drop') return []
    if (what === 'undefined') return [{ ...item, row: { ...row, [name]: undefined as unknown as null } }]
    if (what === 'foreign') return [{ row, ref: 'elsewhere' }]
    if (what === 'log') context.log('warn', 'a word', { name })
    if (what === 'two') return [1, 2].map((part) => ({ ...item, row: { ...row, part, [name]: true } }))
    if (what === 'refuse-second' && row.part === 2) throw testFault('TEST_REFUSED', { where: name })
  }
  return [{ ...item, row: { ...row, [name]: true } }]
}

class TestChannel implements Channel {
  readonly #name: string
  readonly #context: ComponentContext

  constructor(name: string, context: ComponentContext) {
    this.#name = name
    this.#context = context
  }

  async open(): Promise<void> {
    if (this.#name === 'unopened') throw testFault('TEST_UNOPENED')
    if (this.#name === 'resolves') this.#context.log('info', this.#context.resolvePath('file.txt'))
  }

  process(items: readonly Item[], reject: (reject: Reject) => void): readonly Item[] {
    return items.flatMap((item) => {
      try {
        return does(this.#name, item, items.length - 1, this.#context)
      } catch (error) {
        if ((error as { code?: string }).code !== 'TEST_REFUSED') throw error
        reject({ item, fault: error as Reject['fault'] })
        return []
      }
    })
  }
}

type SumState = { made: number; readonly kept: number[] }

/**
 * Sums up `n` of every three items, across calls, and when five milliseconds have passed since the first; refuses a sum over 1,000. Its
 * state is all it keeps; what it is told is written into its folder.
 */
class SumChannel implements Channel {
  readonly alone = true
  readonly #context: ComponentContext
  #state: SumState = { made: 0, kept: [] }
  #saved = ''
  #dueMs: number | null = null

  constructor(context: ComponentContext) {
    this.#context = context
  }

  async open(state: string | null): Promise<void> {
    this.#note(`open ${state}`)
    this.#saved = state ?? JSON.stringify(this.#state)
    this.#restore()
  }

  process(items: readonly Item[], reject: (reject: Reject) => void): readonly Item[] {
    this.#restore()
    const { kept } = this.#state
    const out: Item[] = []
    for (const { row } of items) {
      kept.push(Number(row.n))
      if (kept.length === 3) this.#emit(out, reject)
    }
    this.#dueMs = kept.length === 0 ? null : (this.#dueMs ?? this.#context.clock.nowMs() + 5)
    return out
  }

  due(reject: (reject: Reject) => void): readonly Item[] {
    this.#restore()
    const out: Item[] = []
    if (this.#state.kept.length > 0) this.#emit(out, reject)
    this.#dueMs = null
    return out
  }

  dueAtMs(): number | null {
    return this.#dueMs
  }

  async save(): Promise<string> {
    this.#saved = JSON.stringify(this.#state)
    return this.#saved
  }

  async committed(state: string): Promise<void> {
    this.#note(`committed ${state}`)
  }

  async close(): Promise<void> {
    this.#note('close')
  }

  #restore(): void {
    this.#state = JSON.parse(this.#saved) as SumState
    if (this.#state.kept.length > 0) this.#dueMs ??= this.#context.clock.nowMs() + 5
  }

  #emit(out: Item[], reject: (reject: Reject) => void): void {
    const { kept } = this.#state
    const sum = kept.splice(0).reduce((a, b) => a + b, 0)
    this.#state.made += 1
    const item = { row: { n: sum }, ref: ownRef('sum', String(this.#state.made)) }
    if (sum > 1_000) reject({ item, fault: testFault('TEST_REFUSED', { where: 'sum' }) })
    else out.push(item)
  }

  #note(line: string): void {
    appendFileSync(join(this.#context.dataDir, 'notes.txt'), `${line}\n`)
  }
}

/** Looks at the document of an item whose field `look` says so, and gives it `times` over; any other goes on as it is. */
class DocumentChannel implements Channel {
  readonly #times: number

  constructor(times: number) {
    this.#times = times
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    const out: Item[] = []
    for (const item of items) {
      try {
        out.push(await this.#made(item))
      } catch (error) {
        reject({ item, fault: asFault(error) })
      }
    }
    return out
  }

  async #made(item: Item): Promise<Item> {
    if (item.row.look !== true) return item
    const document = await documentOf(item, { bytesMax: 2 ** 24 })
    if (this.#times === 0) return item
    const bytes = Buffer.concat(Array.from({ length: this.#times }, () => document))
    return { row: { ...item.row, size: bytes.length }, ref: item.ref, content: { kind: 'bytes', bytes } }
  }
}

const timed = f.object({ name: f.integer({ doc: 'how often it gives the document; 0: as it came', min: 0, max: 100 }) })

const named = f.object({ name: f.text({ doc: 'field it sets, and name by which items call it' }) })

export const testEntries: readonly ComponentEntry[] = [
  defineComponent({
    kind: 'channel',
    type: 'test',
    doc: 'Does what items say',
    settings: named,
    create: ({ name }, context) => new TestChannel(name, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'isolated',
    doc: 'The same in a thread',
    settings: named,
    isolated: true,
    create: ({ name }, context) => new TestChannel(name, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'document',
    doc: 'Multiplies documents',
    settings: timed,
    create: ({ name }) => new DocumentChannel(name),
  }),
  defineComponent({
    kind: 'channel',
    type: 'isolated-document',
    doc: 'The same in a thread',
    settings: timed,
    isolated: true,
    create: ({ name }) => new DocumentChannel(name),
  }),
  defineComponent({
    kind: 'channel',
    type: 'sum',
    doc: 'Sums up three',
    settings: f.object({}),
    create: (_settings, context) => new SumChannel(context),
  }),
]

/** Where a thread finds them. */
export const testThreadEntries = { list: testEntries, module: import.meta.url, name: 'testEntries' }
