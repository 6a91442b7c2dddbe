import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WishFolder } from './wishes.ts'

const idOf = (number: number): string => number.toString(16).padStart(32, '0')

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'causeway-wishes-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

t.test('a wish holds for who looks later, and adds to what was wished before', async (t) => {
  const path = folder(t)
  const wishes = new WishFolder(path)
  t.equal(wishes.of(idOf(1)), null)
  wishes.add(idOf(1), { priority: 'urgent' })
  wishes.add(idOf(1), { paused: true })
  t.strictSame(new WishFolder(path).of(idOf(1)), { priority: 'urgent', paused: true })
  wishes.renamed(idOf(1), idOf(2))
  t.strictSame([wishes.of(idOf(1)), wishes.of(idOf(2))], [null, { priority: 'urgent', paused: true }])
  wishes.over(idOf(2))
  wishes.over(idOf(3))
  wishes.renamed(idOf(3), idOf(4))
  t.strictSame(readdirSync(join(path, 'wishes')), [])
})

t.test('who watches is told of what another process wishes, once', async (t) => {
  const path = folder(t)
  const other = new WishFolder(path)
  other.add(idOf(1), { priority: 'bulk' })
  const told: string[] = []
  const first = Promise.withResolvers<void>()
  const second = Promise.withResolvers<void>()
  const stop = new WishFolder(path).watch((id) => {
    told.push(id)
    if (told.length === 1) first.resolve()
    else second.resolve()
  })
  t.teardown(stop)
  // The timer does not keep a process.
  const awake = setInterval(() => undefined, 1000)
  t.teardown(() => clearInterval(awake))
  other.add(idOf(2), { paused: true })
  await first.promise
  other.add(idOf(2), { paused: true })
  other.add(idOf(1), { priority: 'urgent' })
  await second.promise
  t.strictSame(told, [idOf(2), idOf(1)], 'not of what was there before, nor of what is as it was')
})

t.test('what is not one of ours is no wish', async (t) => {
  const path = folder(t)
  mkdirSync(join(path, 'wishes'))
  const wishes = new WishFolder(path)
  const texts = [
    '',
    '{',
    'null',
    '7',
    '[]',
    '{"priority":"asap","paused":1}',
    '{"priority":"__proto__"}',
    `"${'x'.repeat(9999)}"`,
  ]
  for (const [i, text] of texts.entries()) {
    writeFileSync(join(path, 'wishes', `${idOf(i)}.json`), text)
    const wish = wishes.of(idOf(i))
    t.ok(wish === null || Object.keys(wish).length === 0, text.slice(0, 40))
  }
})

t.test('what was to be given up and had arrived is told to who wished it', async (t) => {
  const path = folder(t)
  const [wishes, other] = [new WishFolder(path), new WishFolder(path)]
  wishes.add(idOf(1), { cancelled: true })
  t.strictSame(other.of(idOf(1)), { cancelled: true })
  t.notOk(wishes.hasArrived(idOf(1)))
  other.arrived(idOf(1))
  t.ok(wishes.hasArrived(idOf(1)))
  t.strictSame(other.of(idOf(1)), {}, 'nobody gives up the next one of that id')
  wishes.over(idOf(1))
  wishes.add(idOf(2), { paused: true })
  other.arrived(idOf(2))
  other.arrived(idOf(3))
  t.strictSame(readdirSync(join(path, 'wishes')), [])
})

t.test('there are never more than so many', async (t) => {
  const path = folder(t)
  const wishes = new WishFolder(path)
  mkdirSync(join(path, 'wishes'))
  for (let i = 1; i <= 1005; i++) writeFileSync(join(path, 'wishes', `${idOf(i)}.json`), '{}')
  wishes.add(idOf(0), { paused: false })
  t.ok(readdirSync(join(path, 'wishes')).length <= 1001)
  t.strictSame(wishes.of(idOf(0)), { paused: false }, 'the one just said is kept')
})
