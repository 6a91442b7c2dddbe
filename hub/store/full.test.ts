// A full disk: a small file system of our own.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Lease } from './lane.ts'
import type { Queue } from './queue.ts'
import { freeBytes } from './reserve.ts'
import type { HubStore } from './store.ts'
import { cannotMount, contentsOf, openStore, placement, sealed } from './testing.ts'

t.test('a full disk', { skip: cannotMount() }, async (t) => {
  const path = mkdtempSync(join(tmpdir(), 'causeway-full-'))
  t.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'causeway-store-test', path]).status, 0)
  try {
    await onFullDisk(t, path)
  } finally {
    t.equal(spawnSync('umount', [path]).status, 0)
    rmdirSync(path)
  }
})

type Parts = { store: HubStore; queue: Queue; number: number }

async function onFullDisk(t: Test, path: string): Promise<void> {
  const dataDir = join(path, 'hub')
  const store = await openStore(dataDir, { freeBytesMin: 0 })
  const queue = await store.queues.declare({
    name: 'q',
    rule: { topics: ['t'], where: {} },
    owner: null,
    ephemeral: false,
  })
  const parts = { store, queue, number: 0 }
  t.ok(existsSync(join(dataDir, 'store', 'reserve')), 'space is held back')
  t.match(await fill(parts), { code: 'STORE_FULL', details: { retry: true } })
  const stored = parts.number
  t.ok(stored > 40, `${stored} batches`)
  t.match(await fill(parts), { code: 'STORE_FULL' }, 'still full')
  t.equal(parts.number, stored)

  // Someone else takes what is left, to the last block: settling still works, and its space is used again.
  writeFileSync(join(path, 'other'), Buffer.alloc(freeBytes(path)))
  t.equal(freeBytes(path), 0)
  await drain(parts, 60)
  const refill = await fill(parts)
  t.match(refill, { code: 'STORE_FULL' })
  t.ok(parts.number >= stored + 10, `${parts.number - stored} more`)
  t.equal(queue.depth, parts.number - 60)
  await drain(parts, queue.depth)
  t.equal(queue.depth, 0)
  const emptied = parts.number
  await fill(parts)
  t.ok(parts.number >= emptied + 40)
  await store.close()

  // Nor does a full disk keep the store from being opened.
  t.strictSame((await contentsOf(dataDir)).problems, [])
  const again = await openStore(dataDir, { freeBytesMin: 0 })
  const same = again.queues.get('q') as Queue
  t.equal(same.depth, parts.number - emptied)
  rmSync(join(path, 'other'))
  await drain({ store: again, queue: same, number: 0 }, same.depth)
  await again.close()
  const { problems, batches } = await contentsOf(dataDir)
  t.strictSame(problems, [])
  t.equal(batches.size, 0)
}

/** Appends until refused; gives back the fault. */
async function fill(parts: Parts): Promise<unknown> {
  const { store, queue } = parts
  const stream = store.stream('agent', 's', 1)
  for (let tries = 0; tries < 500; tries++) {
    const batch = sealed({ firstSeq: stream.plannedSeq + 1, count: 1, bodyBytes: 200_000 })
    try {
      await store.append(stream, batch, [placement(queue, batch)])
      parts.number++
    } catch (fault) {
      return fault
    }
  }
  throw new Error('never refused')
}

async function drain({ store, queue }: Parts, messages: number): Promise<void> {
  for (let i = 0; i < messages; i++) {
    const lease = store.take(queue, 1, store) as Lease
    store.batchBytes(lease.entry.batchSeq)
    await store.settle(lease, [lease.from, lease.from + 1], 'processed', { reason: '', by: 'reader' })
  }
}
