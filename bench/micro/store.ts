// The store without sessions: sealed batches appended, flushed before the promise resolves, then taken and settled.

import { Router } from '#hub/router/mod.ts'
import { HubStore, type Queue } from '#hub/store/mod.ts'
import { Batch, openBatch } from '#protocol/codec/mod.ts'
import { freshFolder } from '../stage.ts'
import { MESSAGES, sealed } from './samples.ts'
import type { Suite } from './suite.ts'

/** Batches under way at once: they share a flush, as those of a producer's window do. */
const UNDER_WAY = 16
const HOLDER = {}
const BY = { reason: '', by: 'bench' }

export async function store(): Promise<Suite> {
  const folder = freshFolder('micro')
  const opened = await HubStore.open({ dataDir: folder.dir, mapBytesMax: 64 * 2 ** 30, cacheBytes: 32 * 2 ** 20 })
  const sample = openBatch(sealed({ compression: 'none', tree: false }))
  const writer = async (name: string) => {
    const rule = { topics: [name], where: {} }
    const queue = await opened.queues.declare({ name, rule, owner: null, ephemeral: false })
    const stream = opened.stream('office', name, 1)
    const routing = new Router()
    routing.compile([queue])
    let seq = 1
    const append = (): Promise<void> => {
      // The store takes numbers as they come: nobody signs them here.
      const batch = new Batch(sample.bytes, { ...sample.head, firstSeq: seq })
      seq += batch.count
      const selection = null
      const [placement] = routing.route(sample, opened.unrouted).placements
      if (placement === undefined) throw new Error('a batch has a place')
      return opened.append(stream, batch, [{ ...placement, queue, selection }])
    }
    return { queue, append: () => Promise.all(Array.from({ length: UNDER_WAY }, append)) }
  }
  const kept = await writer('kept')
  const drained = await writer('drained')
  return {
    cases: [
      {
        name: `append, ${UNDER_WAY} batches of 256 KiB under way`,
        unit: 'messages',
        perRun: UNDER_WAY * MESSAGES,
        run: kept.append,
      },
      {
        name: 'append, take and settle',
        unit: 'messages',
        perRun: UNDER_WAY * MESSAGES,
        run: async () => {
          await drained.append()
          await settleAll(opened, drained.queue)
        },
      },
    ],
    end: async () => {
      await opened.close()
      folder.remove()
    },
  }
}

async function settleAll(opened: HubStore, queue: Queue): Promise<void> {
  const settling: Promise<unknown>[] = []
  for (let lease = opened.take(queue, MESSAGES, HOLDER); lease !== null; ) {
    settling.push(Promise.resolve(opened.settle(lease, [lease.from, lease.from + lease.count], 'processed', BY)))
    lease = opened.take(queue, MESSAGES, HOLDER)
  }
  await Promise.all(settling)
}
