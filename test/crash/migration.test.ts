// A hub that is killed at each step of migrating a folder of version 1, and started again each time: in the end every
// message is where it was, to the last number.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { initAuthority } from '#hub/security/mod.ts'
import { checkStore, HubStore, placesOf, QUEUE_DEAD, QUEUE_UNROUTED, type Queue } from '#hub/store/mod.ts'
import { openBatch } from '#protocol/codec/mod.ts'
import { endWithUs } from '../fixtures/hub.ts'
import type { Fuse } from './points.ts'

const PROGRAM = join(import.meta.dirname, 'hub.ts')
const FIXTURE = join(import.meta.dirname, '../../hub/store/fixtures/v1')
const MIB = 2 ** 20
const KILLS_MAX = 60

t.setTimeout(590_000)
t.test('killed after each transaction of a migration', { timeout: 580_000 }, async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'causeway-migration-'))
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }))
  makeFolder(dataDir)
  let kills = 0
  for (; kills < KILLS_MAX; kills++) {
    // Each start begins where the last one came to; ever later, for what begins anew each time.
    const fuse: Fuse = { when: 'committed', nth: kills < 5 ? 1 : kills - 3, lasts: null }
    if (await startsWith(dataDir, fuse)) break
  }
  t.ok(kills >= 4 && kills < KILLS_MAX, `killed ${kills} times`)
  await checkMigrated(t, dataDir)
})

function makeFolder(dataDir: string): void {
  cpSync(FIXTURE, dataDir, { recursive: true })
  initAuthority(join(dataDir, 'security'), { hubName: 'test-hub', hostNames: ['127.0.0.1'] })
  const local = { host: '127.0.0.1', port: 0, tls: false }
  const settings = {
    name: 'test-hub',
    listen: { tcp: local, websocket: { enabled: false } },
    management: { host: '127.0.0.1', port: 0 },
    store: { mapBytesMax: 256 * MIB, freeBytesMin: 0 },
    queues: [{ name: 'q', topics: ['t'] }],
  }
  writeFileSync(join(dataDir, 'hub.yaml'), JSON.stringify(settings))
}

async function checkMigrated(t: Test, dataDir: string): Promise<void> {
  const { problems, damaged, version } = await checkStore(dataDir)
  t.strictSame([problems, damaged, version], [[], [], 2])
  const store = await HubStore.open({ dataDir, mapBytesMax: 256 * MIB, cacheBytes: MIB, freeBytesMin: 0 })
  const numbersOf = (name: string) => numbersIn(store, store.queues.get(name) as Queue)
  // As make-v1.ts left them.
  t.strictSame(numbersOf('q'), ['one 6', 'one 7', ...range('one', 11, 60)])
  const ofOne = [...range('one', 2, 5), ...range('one', 16, 20), ...range('one', 31, 35), ...range('one', 46, 50)]
  t.strictSame(numbersOf('agent:sub'), [...ofOne, ...range('two', 1, 3)])
  t.strictSame([...numbersOf(QUEUE_UNROUTED), ...numbersOf(QUEUE_DEAD)].sort(), ['one 1', 'two 4'])
  t.equal(store.queues.get('agent:gone'), undefined, 'what ended with its session is gone')
  t.equal(store.stream('agent', 'one', 7).durableSeq, 60)
  t.equal(store.stream('agent', 'two', 7).durableSeq, 4)
  await store.close()
}

/** True when the hub has started; false when it died at the point. */
async function startsWith(dataDir: string, fuse: Fuse): Promise<boolean> {
  const args = ['--disable-warning=ExperimentalWarning', PROGRAM, dataDir, JSON.stringify(fuse)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  const unbind = endWithUs(() => void child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  let started = false
  createInterface({ input: child.stdout as NonNullable<typeof child.stdout> }).on('line', (line) => {
    if (!line.includes('"hub started"')) return
    started = true
    child.kill('SIGTERM')
  })
  const [code, signal] = await exited
  unbind()
  if (code !== 0 && signal !== 'SIGKILL') throw new Error(`the hub ended with ${code ?? signal}`)
  return started
}

const range = (stream: string, from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => `${stream} ${from + i}`)

/** Everything that waits, in order. */
function numbersIn(store: HubStore, queue: Queue): string[] {
  const found: string[] = []
  for (let lease = store.take(queue, 1000, queue); lease !== null; lease = store.take(queue, 1000, queue)) {
    const { entry, from, count } = lease
    const batch = openBatch(store.batchBytes(entry.batchSeq))
    const message = batch.messages()
    for (const place of placesOf(entry, from - entry.position, count)) {
      found.push(`${batch.head.stream} ${message(place).body.readUIntBE(0, 6)}`)
    }
  }
  return found
}
