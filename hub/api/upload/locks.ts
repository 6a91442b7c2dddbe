// One request at a time has an upload. The locks of @tus/server are not used: theirs spins on the event loop while it waits,
// and lets two living writers throw each other out for ever. Here a writer that still sends keeps its upload, and the other is
// told to come again; one that has gone quiet (its connection is dead, mostly) is cut off and gives way when it has written
// down what it received.

import type { Lock, Locker } from '@tus/server'
import { currentExchange, type Exchange } from '../exchange.ts'
import { httpFault } from '../faults.ts'
import { LOCK_MS, WRITER_ALIVE_MS } from '../limits.ts'

type Holder = { readonly exchange: Exchange; readonly released: Promise<void>; release(): void }

export class UploadLocks implements Locker {
  private readonly holders = new Map<string, Holder>()
  private readonly nowMs: () => number

  constructor(nowMs: () => number) {
    this.nowMs = nowMs
  }

  newLock(id: string): Lock {
    let own: Holder | null = null
    return {
      lock: async () => {
        const deadlineMs = this.nowMs() + LOCK_MS
        for (let holder = this.holders.get(id); holder !== undefined; holder = this.holders.get(id)) {
          await this.wait(id, holder, deadlineMs)
        }
        const { promise: released, resolve: release } = Promise.withResolvers<void>()
        own = { exchange: currentExchange(), released, release }
        this.holders.set(id, own)
      },
      unlock: async () => {
        if (own === null || this.holders.get(id) !== own) return
        this.holders.delete(id)
        own.release()
      },
    }
  }

  /** Until it may have been released. Faults: `UPLOAD_BUSY`. */
  private async wait(id: string, holder: Holder, deadlineMs: number): Promise<void> {
    const nowMs = this.nowMs()
    const quietMs = nowMs - holder.exchange.movedAtMs
    if (nowMs >= deadlineMs) throw httpFault('UPLOAD_BUSY', { where: `content ${id}`, retry: true })
    if (quietMs >= WRITER_ALIVE_MS) holder.exchange.cut()
    // What only asks for the state of an upload has it for moments; what writes shows itself in that time.
    if (await within(holder.released, quietMs >= WRITER_ALIVE_MS ? deadlineMs - nowMs : SHORT_MS)) return
    if (holder.exchange.movedAtMs > nowMs) throw httpFault('UPLOAD_BUSY', { where: `content ${id}`, retry: true })
  }
}

const SHORT_MS = 300

function within(promise: Promise<void>, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms)
    void promise.then(() => {
      clearTimeout(timer)
      resolve(true)
    })
  })
}
