// A full disk under load: producers are told to wait and keep what they have, consumers go on settling, a hub killed on the
// full disk starts again, and with space again all goes on by itself. CRASH_SEED= repeats it.

import { spawnSync } from 'node:child_process'
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { lockFolder as lockSpool } from '#agent/spool/lock.ts'
import { lockFolder as lockStore } from '#hub/store/lock.ts'
import { cannotMount } from '#hub/store/testing.ts'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { startCrashHub } from './rounds.ts'
import { Scene } from './scene.ts'

const MIB = 2 ** 20
const DISK = '28m'

t.setTimeout(590_000)
t.test('the disk is full under load', { skip: cannotMount(), timeout: 580_000 }, async (t) => {
  const seed = Number(process.env.CRASH_SEED ?? testSeed())
  t.comment(`CRASH_SEED=${seed}`)
  const hub = await startCrashHub({ store: { mapBytesMax: 512 * MIB, cacheBytes: MIB, freeBytesMin: 2 * MIB } })
  const scene = new Scene(hub, new Random(seed), [])
  let mounted = false
  try {
    await hub.quit()
    const aside = `${hub.dataDir}-aside`
    renameSync(hub.dataDir, aside)
    mkdirSync(hub.dataDir)
    t.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'causeway-crash-test', hub.dataDir]).status, 0)
    mounted = true
    cpSync(aside, hub.dataDir, { recursive: true })
    await hub.restart()
    await fillAndGoOn(t, scene)
  } finally {
    await scene.end({ keepFolder: true })
    // Lazily: a failure before may have left a file of it open in this process.
    if (mounted) t.equal(spawnSync('umount', ['-l', hub.dataDir]).status, 0)
    rmSync(hub.dir, { recursive: true, force: true })
  }
})

t.test('a folder is taken on a disk without a free block', { skip: cannotMount() }, async (t) => {
  const path = mkdtempSync(join(tmpdir(), 'causeway-lock-'))
  t.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'causeway-crash-test', path]).status, 0)
  t.teardown(() => {
    spawnSync('umount', ['-l', path])
    rmSync(path, { recursive: true })
  })
  fill(join(path, 'ballast'))
  const unlock = lockStore(path)
  t.throws(() => lockStore(path), { code: 'STORE_IN_USE' })
  unlock()
  const unlockSpool = lockSpool(path)
  t.throws(() => lockSpool(path), { code: 'SPOOL_IN_USE' })
  unlockSpool()
})

async function fillAndGoOn(t: Test, scene: Scene): Promise<void> {
  const { hub } = scene
  scene.fillingMax = 2000
  await scene.begin()
  await scene.stopConsuming()
  await scene.until(() => scene.refusals > 0, 'a refusal')
  const ballast = join(hub.dataDir, 'ballast')
  fill(ballast)
  t.equal(statfsSync(hub.dataDir).bavail, 0, 'not a block is free')
  t.comment(`refused: ${scene.refusals}`)
  await scene.kill('hub')
  await scene.kill('producer')
  scene.consumeAgain()
  await scene.until(() => scene.effectsSeen > 500, 'effects on a full disk')
  await scene.kill('consumer')
  await scene.kill('hub')
  rmSync(ballast)
  // Each dead letter keeps its whole batch: too many of them would fill the disk again.
  await scene.mend()
  await scene.working()
  const { accepted, lost, duplicated, reordered, receiptsMissing, receiptsDouble, halves, problems } =
    await scene.judge()
  t.strictSame(problems, [])
  t.ok(accepted > 3000, `${accepted} messages`)
  t.strictSame([lost, duplicated, reordered], [0, 0, 0], 'lost, duplicated, reordered')
  t.strictSame([receiptsMissing, receiptsDouble, halves], [0, 0, 0], 'receipts missing, told twice; half groups')
}

/** To the last block of its disk. */
function fill(path: string): void {
  const block = Buffer.alloc(4096)
  try {
    for (;;) appendFileSync(path, block)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}
