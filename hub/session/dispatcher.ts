// Brings queues and their consumers together: when a queue has something, its consumers take turns.

import type { Queue } from '#hub/store/mod.ts'
import { asFault } from '#protocol/base/mod.ts'
import type { Consumer } from './consumer.ts'

export class Dispatcher {
  private readonly consumers_ = new Map<Queue, Consumer[]>()
  private readonly waiting = new Set<Queue>()
  private scheduled = false

  add(consumer: Consumer): void {
    const { queue } = consumer
    const list = this.consumers_.get(queue)
    if (list === undefined) {
      this.consumers_.set(queue, [consumer])
      queue.onReady = () => this.wake(queue)
    } else {
      list.push(consumer)
    }
    this.wake(queue)
  }

  remove(consumer: Consumer): void {
    const { queue } = consumer
    const list = this.consumers_.get(queue)?.filter((other) => other !== consumer) ?? []
    if (list.length > 0) {
      this.consumers_.set(queue, list)
      return
    }
    this.consumers_.delete(queue)
    queue.onReady = () => {}
  }

  consumers(queue: Queue): readonly Consumer[] {
    return [...(this.consumers_.get(queue) ?? [])]
  }

  consumersOf(queue: Queue): number {
    return this.consumers_.get(queue)?.length ?? 0
  }

  /** The queue may have something, or one of its consumers may take something. Served once per event turn. */
  wake(queue: Queue): void {
    this.waiting.add(queue)
    if (this.scheduled) return
    this.scheduled = true
    queueMicrotask(() => {
      this.scheduled = false
      const queues = [...this.waiting]
      this.waiting.clear()
      for (const next of queues) this.serve(next)
    })
  }

  private serve(queue: Queue): void {
    const list = this.consumers_.get(queue)
    if (list === undefined) return
    // A consumer that has sent goes to the back, so that competing consumers share the work.
    for (let idle = 0; idle < list.length; ) {
      const consumer = list.shift() as Consumer
      list.push(consumer)
      let sent = false
      try {
        sent = consumer.sendOne()
      } catch (error) {
        consumer.fail(asFault(error))
        return
      }
      idle = sent ? 0 : idle + 1
    }
  }
}
