// Groups, failed groups, bounds, and files that are not ours.

import { spawnSync } from 'node:child_process'
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Engine, type Work } from './engine.ts'

const MIB = 1024 * 1024

const doing = (write: () => void, done: () => void = () => undefined): Work => ({ write, done })

/** Number of LMDB's last transaction, from the two meta pages. */
function transactions(folder: string): number {
  const file = readFileSync(join(folder, 'store.mdb'))
  return Math.max(Number(file.readBigUInt64LE(152)), Number(file.readBigUInt64LE(4096 + 152)))
}

t.test('one transaction for all that came, however much it was', async (t) => {
  const folder = t.testdir()
  const engine = Engine.open(folder, 64 * MIB)
  const table = engine.table('rows')
  const before = transactions(folder)
  const order: string[] = []
  const waiting: Promise<void>[] = []
  for (let i = 0; i < 1500; i++) {
    const write = () => table.put([i], Buffer.alloc(i % 50 === 0 ? 20_000 : 20, i))
    waiting.push(
      engine.append(
        20,
        doing(write, () => void order.push(`a${i}`)),
      ),
    )
  }
  const upkeep = doing(
    () => table.put('u', Buffer.from('1')),
    () => void order.push('u'),
  )
  waiting.push(engine.maintain(upkeep))
  t.equal(new Set(waiting).size, 2, 'one promise for the group, one for its upkeep')
  await Promise.all(waiting)
  t.equal(engine.groups, 1)
  t.equal(transactions(folder), before + 1)
  t.equal(order.length, 1501)
  t.strictSame(order.slice(0, 2).concat(order.slice(-1)), ['u', 'a0', 'a1499'], 'memory moves on in order')

  let third: Promise<void> | null = null
  const second = engine.append(
    1,
    doing(
      () => table.put('x', Buffer.from('1')),
      () => {
        third = engine.append(
          1,
          doing(() => table.put('y', Buffer.from('1'))),
        )
      },
    ),
  )
  await second
  await third
  t.equal(transactions(folder), before + 3, 'what comes later goes with the next')
  t.same(table.get('y'), Buffer.from('1'))
  await engine.close()
})

t.test('a failed group is refused with everything behind it; what comes then is written', async (t) => {
  const engine = Engine.open(t.testdir(), 64 * MIB)
  const table = engine.table('rows')
  await engine.append(
    1,
    doing(() => table.put('before', Buffer.from('1'))),
  )
  let fallbacks = 0
  engine.onAppendFailed = () => fallbacks++
  const faults: string[] = []
  engine.onFault = ({ code }) => faults.push(code)
  const outcome = (promise: Promise<void>) =>
    promise.then(
      () => 'written',
      ({ code }) => `${code} ${fallbacks}`,
    )
  let late: Promise<string> | null = null
  const good = outcome(
    engine.append(
      1,
      doing(
        () => {
          table.put('good', Buffer.from('1'))
          late ??= outcome(
            engine.append(
              1,
              doing(() => table.put('late', Buffer.from('1'))),
            ),
          )
        },
        () => t.fail('not done'),
      ),
    ),
  )
  const bad = outcome(
    engine.append(
      1,
      doing(() => {
        throw new Error('does not work')
      }),
    ),
  )
  t.equal(await good, 'INTERNAL 1', 'plans were forgotten before anybody was told')
  t.equal(await bad, 'INTERNAL 1')
  t.equal(await late, 'INTERNAL 1')
  t.strictSame(faults, ['INTERNAL'])
  t.equal(table.get('good'), undefined)
  t.equal(table.get('late'), undefined)
  await engine.append(
    1,
    doing(() => table.put('after', Buffer.from('1'))),
  )
  t.same([table.get('before'), table.get('after')], [Buffer.from('1'), Buffer.from('1')])
  await engine.close()
})

t.test('upkeep is repeated until it succeeds, without the appends it came with', async (t) => {
  const engine = Engine.open(t.testdir(), 64 * MIB)
  const table = engine.table('rows')
  let tries = 0
  let readable = 0
  engine.onReadable = () => readable++
  const upkeep = engine.maintain(
    doing(() => {
      table.put('upkeep', Buffer.from([++tries]))
      if (tries < 3) throw new Error('not yet')
    }),
  )
  const append = engine.append(
    1,
    doing(() => table.put('append', Buffer.from('1'))),
  )
  await t.rejects(append, { message: /not yet/ })
  await upkeep
  t.equal(tries, 3)
  t.equal(readable, 2, 'the file was opened again after each failure')
  t.same(table.get('upkeep'), Buffer.from([3]))
  t.equal(table.get('append'), undefined)
  await engine.close()
})

t.test('a full store refuses appends, and upkeep empties it', async (t) => {
  const folder = t.testdir()
  const engine = Engine.open(folder, 16 * MIB)
  const table = engine.table('rows')
  const value = Buffer.alloc(100_000, 7)
  let stored = 0
  const fill = async () => {
    for (;;) {
      const i = stored
      await engine.append(
        value.length + 4096,
        doing(() => table.put([i], value)),
      )
      stored++
    }
  }
  await t.rejects(fill(), { code: 'STORE_FULL', details: { retry: true, bytesMax: 16 * MIB } })
  t.ok(stored > 100, `${stored} batches`)
  t.ok(engine.usage().bytes > 12 * MIB && engine.usage().bytes <= 14 * MIB, 'up to what is held back')
  await engine.append(
    0,
    doing(() => table.put('small', Buffer.from('1'))),
  )
  t.same(table.get('small'), Buffer.from('1'), 'a declaration still fits')
  for (let i = 0; i < 40; i++) await engine.maintain(doing(() => table.remove([i])))
  t.ok(engine.usage().bytes < 12 * MIB)
  const before = stored
  await t.rejects(fill(), { code: 'STORE_FULL' })
  t.ok(stored - before >= 35, `room for ${stored - before} again`)
  t.ok(statSync(join(folder, 'store.mdb')).size <= 16 * MIB)
  await engine.close()
})

t.test('closing writes what waits; then nothing is taken', async (t) => {
  const folder = t.testdir()
  const engine = Engine.open(folder, 64 * MIB)
  const table = engine.table('rows')
  const append = engine.append(
    1,
    doing(() => table.put('append', Buffer.from('1'))),
  )
  void engine.maintain(doing(() => table.put('upkeep', Buffer.from('1'))))
  await engine.close()
  await append
  await t.rejects(
    engine.append(
      1,
      doing(() => undefined),
    ),
    { code: 'STORE_CLOSED' },
  )
  const again = Engine.open(folder, 64 * MIB)
  t.strictSame([...again.table('rows').keys()], ['append', 'upkeep'])
  await again.close()
})

t.test('closing ends although upkeep fails', async (t) => {
  const engine = Engine.open(t.testdir(), 64 * MIB)
  let tries = 0
  void engine.maintain(
    doing(() => {
      tries++
      throw new Error('never')
    }),
  )
  await engine.close()
  t.equal(tries, 1)
})

t.test('one process, also after one was killed', async (t) => {
  const folder = t.testdir()
  const engine = Engine.open(folder, 64 * MIB)
  t.throws(() => Engine.open(folder, 64 * MIB), { code: 'STORE_IN_USE', where: folder })
  const script = `
    import { Engine } from ${JSON.stringify(new URL('engine.ts', import.meta.url).href)}
    try { Engine.open(${JSON.stringify(folder)}, 64 * 2 ** 20); process.kill(process.pid, 'SIGKILL') }
    catch (error) { console.log(error.code) }`
  const other = () => {
    const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script]
    const { stdout, signal } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    return signal ?? stdout.trim()
  }
  t.equal(other(), 'STORE_IN_USE')
  await engine.close()
  t.equal(other(), 'SIGKILL')
  await Engine.open(folder, 64 * MIB).close()
})

t.test('a file that is not the one we made', async (t) => {
  const foreign = t.testdir({ 'store.mdb': 'x'.repeat(20_000) })
  t.throws(() => Engine.open(foreign, 64 * MIB), { code: 'STORE_DAMAGED', message: /no meta page at byte 0/ })
  writeFileSync(join(foreign, 'store.mdb'), '')
  await Engine.open(foreign, 64 * MIB).close()

  const folder = join(foreign, 'cut')
  const engine = Engine.open(folder, 64 * MIB)
  const table = engine.table('rows')
  await engine.append(
    1,
    doing(() => table.put('big', Buffer.alloc(MIB, 1))),
  )
  await engine.close()
  truncateSync(join(folder, 'store.mdb'), 20_000)
  // The pages are gone: whatever LMDB makes of the zeros in their place, the process lives and says so.
  try {
    const cut = Engine.open(folder, 64 * MIB)
    const rows = cut.table('rows')
    t.not(Buffer.compare(rows.get('big') ?? Buffer.alloc(0), Buffer.alloc(MIB, 1)), 0)
    await cut.close()
  } catch (error) {
    t.match(error, { code: /^STORE_(DAMAGED|IO)$|^-307/ })
  }
  writeFileSync(join(folder, 'store.mdb'), '')
  t.throws(() => Engine.open(folder, 64 * MIB), { code: 'STORE_DAMAGED', message: /made before and has 0 bytes/ })
})
