import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { NOTE_BYTES_MAX } from './limits.ts'
import { backNoteOf, notedIn, noteOf, type Remainder } from './noted.ts'

const NOTHING: Remainder = { only: null, behind: null, done: [], had: [], made: false }

t.test('what is noted is read again', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const names = ['税务登记', 'a b/c', 'x', '"', '\\', '\0', '2 {}', '💥'.repeat(20)]
  const some = () => names.filter(() => random.oneIn(3))
  t.same(notedIn(noteOf({ version: 7, placed: true })), { version: 7, placed: true, left: null })
  t.same(notedIn(noteOf({ version: 7, placed: false })), { version: 7, placed: false, left: null })
  for (let i = 0; i < 500; i++) {
    const left: Remainder = {
      only: random.oneIn(3) ? null : some(),
      behind: random.oneIn(2) ? null : random.pick(names),
      done: some(),
      had: Array.from({ length: random.below(5) }, () => random.below(1e6)),
      made: random.oneIn(4),
    }
    const placed = random.oneIn(2)
    const note = backNoteOf({ placed, left })
    t.notOk(note.includes('\0'), 'it can stand behind another note')
    t.same(notedIn(note), { version: null, placed, left })
  }
})

t.test('what does not fit is left out, so that more is decided than failed', async (t) => {
  const long = (count: number) => Array.from({ length: count }, (_, i) => `${'税'.repeat(99)}${i % 10}`)
  const noted = (left: Partial<Remainder>) => {
    const note = backNoteOf({ placed: true, left: { ...NOTHING, ...left } })
    t.ok(Buffer.byteLength(note) <= NOTE_BYTES_MAX)
    return notedIn(note)?.left
  }
  t.match(noted({ only: long(40), behind: 'x', had: [1] }), { only: long(40), behind: 'x', had: [1] })
  t.same(noted({ only: long(60), behind: 'x', done: ['d'], had: [1] }), { ...NOTHING, done: ['d'], had: [1] })
  t.same(noted({ only: long(60), done: long(60), had: [1] }), { ...NOTHING, had: [1] })
  t.same(noted({ had: Array.from({ length: 10_000 }, (_, i) => i) }), NOTHING)
})

t.test('what nobody wrote tells nothing: all rules decide', async (t) => {
  const lists = ['{"only":"x"}', '{"only":[1]}', '{"done":[null]}', '{"had":["1"]}', '{"behind":1}', '{"placed":1}']
  for (const text of [
    '',
    'NO_ROUTE',
    '1e3',
    '-1',
    '2 ',
    '2 {',
    '2 null',
    '2 7',
    '3 {}',
    ...lists.map((one) => `2 ${one}`),
  ]) {
    t.equal(notedIn(text), null, text)
  }
})
