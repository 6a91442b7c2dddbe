import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { millis } from '#protocol/base/mod.ts'
import type { ComponentContext } from '../contract.ts'
import { codeOf, faultOf, randomFrom, testContext } from '../support/testing.ts'
import { changesOf, FILL_BYTES } from './changes.testing.ts'
import { StateLog } from './mod.ts'
import { Numbers } from './numbers.testing.ts'

t.setTimeout(600_000)

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))

const opened = async (context: ComponentContext, state: string | null, fillBytes = 0) => {
  const numbers = new Numbers(fillBytes)
  const log = new StateLog('numbers', numbers, context)
  await log.open(state)
  return { numbers, log, set: (name: string, value: number | null) => log.append(numbers.set(name, value)) }
}

const logsOf = (root: string) => readdirSync(join(root, 'data-flow-1', 'numbers')).sort()

t.test('opens with the state named and with the one before, not with what came after', async (t) => {
  const root = t.testdir({})
  const context = testContext(root)
  const first = await opened(context, null)
  const nothing = await first.log.save()
  t.same(logsOf(root), [], 'nothing is written when nothing is kept')
  first.set('a', 1)
  const one = await first.log.save()
  await first.log.committed(one)
  const changed = statSync(join(root, 'data-flow-1', 'numbers', 'state-1.log')).mtimeMs
  t.equal(await first.log.save(), one, 'nothing changed: the same state')
  t.equal(statSync(join(root, 'data-flow-1', 'numbers', 'state-1.log')).mtimeMs, changed, 'and no write')
  first.set('b', 2)
  const two = await first.log.save()
  await first.log.close()
  for (const [state, wanted] of [
    [two, { a: 1, b: 2 }],
    [one, { a: 1 }],
    [one, { a: 1 }],
  ] as const) {
    const again = await opened(context, state)
    t.same(Object.fromEntries(again.numbers.values), wanted)
    await again.log.close()
  }
  // Goes on from the former: what lay behind is written over.
  const third = await opened(context, one)
  third.set('c', 3)
  const other = await third.log.save()
  await third.log.close()
  const fourth = await opened(context, other)
  t.same(Object.fromEntries(fourth.numbers.values), { a: 1, c: 3 })
  await fourth.log.close()
  t.equal(
    await codeOf(() => opened(context, two)),
    'STATE_DAMAGED',
    'the branch that was left is not taken for the other',
  )
  t.not(nothing, one)
})

t.test('a call that is repeated before its save starts from what was saved', async (t) => {
  const { numbers, log, set } = await opened(testContext(t.testdir({})), null)
  set('a', 1)
  await log.save()
  await log.ready()
  set('a', 2)
  set('b', 2)
  await log.ready()
  t.same(Object.fromEntries(numbers.values), { a: 1 })
  set('b', 3)
  await log.save()
  await log.ready()
  t.same(Object.fromEntries(numbers.values), { a: 1, b: 3 })
  await log.close()
})

t.test('a save that the disk refuses can be repeated', async (t) => {
  const root = t.testdir({})
  const context = testContext(root)
  const { numbers, log, set } = await opened(context, null)
  set('a', 1)
  // Something has the name that the file is to get.
  const inTheWay = join(root, 'data-flow-1', 'numbers', 'state-1.log.tmp')
  mkdirSync(join(inTheWay, 'x'), { recursive: true })
  const fault = await faultOf(() => log.save())
  t.match(fault, { code: 'DIRECTORY_IO', details: { retry: true } })
  rmSync(inTheWay, { recursive: true })
  const state = await log.save()
  t.same(Object.fromEntries(numbers.values), { a: 1 })
  await log.close()
  const again = await opened(context, state)
  t.same(Object.fromEntries(again.numbers.values), { a: 1 })
  await again.log.close()
})

t.test('files stay within twice of what is kept, and the former stays until the next is committed', async (t) => {
  const root = t.testdir({})
  const context = testContext(root)
  const { numbers, log, set } = await opened(context, null, 100_000)
  let before: { state: string; values: object } | null = null
  let renewed = 0
  for (let i = 0; i < 200; i += 1) {
    set(`n${i % 5}`, i)
    const state = await log.save()
    const files = logsOf(root)
    t.ok(files.length <= 2, 'at most two')
    if (files.length === 2 && before !== null) {
      renewed += 1
      t.ok(JSON.parse(before.state).file < JSON.parse(state).file)
      t.ok(existsSync(join(root, 'data-flow-1', 'numbers', `state-${JSON.parse(before.state).file}.log`)))
    }
    await log.committed(state)
    t.equal(logsOf(root).length, 1)
    const size = statSync(join(root, 'data-flow-1', 'numbers', logsOf(root)[0] as string)).size
    t.ok(size < 2 * 5 * 100_100 + 5 * 1024 * 1024, `${size}`)
    before = { state, values: Object.fromEntries(numbers.values) }
  }
  t.ok(renewed >= 3, `written anew ${renewed} times`)
  await log.close()
  const again = await opened(context, before?.state as string, 100_000)
  t.same(Object.fromEntries(again.numbers.values), before?.values)
  await again.log.close()
})

t.test('a flipped bit anywhere, a cut file, a missing one, another state: found', async (t) => {
  const root = t.testdir({})
  const context = testContext(root)
  const { log, set } = await opened(context, null)
  for (let i = 0; i < 5; i += 1) set(`n${i}`, i)
  const state = await log.save()
  await log.close()
  const path = join(root, 'data-flow-1', 'numbers', 'state-1.log')
  const good = readFileSync(path)
  for (let at = 0; at < good.length; at += 1) {
    const bad = Buffer.from(good)
    bad.writeUInt8((bad[at] as number) ^ (1 << (at % 8)), at)
    writeFileSync(path, bad)
    const fault = await faultOf(() => opened(context, state))
    if (fault?.code !== 'STATE_DAMAGED') t.fail(`byte ${at}: ${fault?.code}`)
  }
  writeFileSync(path, good)
  const whole = await opened(context, state)
  await whole.log.close()
  // What a power cut left half written behind the state does not matter.
  writeFileSync(path, Buffer.concat([good, Buffer.from([9, 0, 0, 0, 1])]))
  const torn = await opened(context, state)
  torn.set('x', 1)
  const after = await torn.log.save()
  await torn.log.close()
  const gone = await opened(context, after)
  t.equal(gone.numbers.values.get('x'), 1)
  await gone.log.close()
  truncateSync(path, good.length - 1)
  t.equal(await codeOf(() => opened(context, state)), 'STATE_DAMAGED')
  t.equal(await codeOf(() => opened(context, state.replace('"file":1', '"file":7'))), 'STATE_MISSING')
  for (const foreign of ['', '{}', 'x', '{"v":1,"file":-1,"end":0,"crc":0}']) {
    t.equal(await codeOf(() => opened(context, foreign)), 'STATE_INVALID', foreign)
  }
})

t.test('two channels in one folder are a mistake of ours', async (t) => {
  const context = testContext(t.testdir({}))
  const { log } = await opened(context, null)
  await t.rejects(opened(context, null), /one channel keeps its state/)
  await log.close()
  const again = await opened(context, null)
  await again.log.close()
})

t.test('time goes on over a restart, never backwards, whatever the clocks say', async (t) => {
  const root = t.testdir({})
  const at = (nowMs: number, wallMs: number) => ({
    ...testContext(root),
    clock: { nowMs: () => millis(nowMs), wallMs: () => millis(wallMs) },
  })
  const run = async (context: ComponentContext, state: string | null) => {
    const { log, set } = await opened(context, state)
    const ageMs = log.ageMs()
    t.equal(log.atMs(ageMs + 5), context.clock.nowMs() + 5)
    set('a', 1)
    const saved = await log.save()
    await log.close()
    return { ageMs, saved }
  }
  const first = await run(at(1_000, 50_000), null)
  const second = await run(at(7, 51_500), first.saved)
  t.equal(second.ageMs - first.ageMs, 1_500, 'the wall clock says what passed in between')
  const third = await run(at(3, 20_000), second.saved)
  t.equal(third.ageMs, second.ageMs, 'a clock set back: nothing passed')
})

t.test('killed at any point, a state is that of the committed portion', async (t) => {
  t.comment(`SEED=${SEED}`)
  const random = randomFrom(SEED)
  const root = t.testdir({})
  const program = join(import.meta.dirname, 'until-killed.testing.ts')
  let portions = 0
  for (let round = 0; round < 8; round += 1) {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, root, String(SEED)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    // The child goes on while we read: the kill comes at any point after so many steps.
    let left = 1 + Math.floor(random() * 60)
    child.stdout.on('data', (steps: Buffer) => {
      left -= steps.length
      if (left <= 0) child.kill('SIGKILL')
    })
    await once(child, 'exit')
    t.equal(child.signalCode, 'SIGKILL')
    // Killed before the first is committed, it has none.
    const position = join(root, 'position.json')
    const { portion, state } = existsSync(position)
      ? JSON.parse(readFileSync(position, 'utf8'))
      : { portion: 0, state: null }
    t.ok(portion >= portions, `${portion} portions`)
    portions = portion
    const model = new Numbers()
    for (let i = 1; i <= portion; i += 1) for (const [name, value] of changesOf(SEED, i)) model.set(name, value)
    const { numbers, log } = await opened(testContext(root), state, FILL_BYTES)
    t.same(Object.fromEntries(numbers.values), Object.fromEntries(model.values))
    await log.close()
  }
  t.ok(portions > 8)
})
