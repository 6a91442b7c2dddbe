// Who of several transfers in one direction sends next on a line that they share. What is more urgent goes first; a less urgent class
// that has something to send gets a piece after 32 times as many bytes as its last one had, so none stands still. Within a class
// each has its turn.
//
// One whose next piece is just being read from a disk says so: what is less urgent would fill the line in that moment, again and
// again, and get half of it.

import { PRIORITY_BULK, PRIORITY_NORMAL, PRIORITY_URGENT, type Priority } from '#protocol/codec/mod.ts'
import { URGENT_BYTES_PER_BYTE } from './limits.ts'

/** From the most urgent one down. */
const ORDER: readonly Priority[] = [PRIORITY_URGENT, PRIORITY_NORMAL, PRIORITY_BULK]

/** What a peer says, which may know more priorities than there are here. */
export const transferPriority = (value: number): Priority =>
  value === PRIORITY_URGENT || value === PRIORITY_BULK ? value : PRIORITY_NORMAL

/** Of WANT, where 0 is "as before". */
export const priorityInWant = (priority: Priority): number => priority + 1
export const priorityOfWant = (value: number): Priority | null => (value === 0 ? null : transferPriority(value - 1))

/** What a step gives that has nothing to send now and will have in a moment: then there is another turn. */
export const IN_A_MOMENT = -1

type Class<T> = {
  readonly items: T[]
  /** Whose turn is next. */
  next: number
  /** What more urgent ones have sent since its last piece, and how much of it makes the next one due. */
  passedBytes: number
  dueBytes: number
}

export class Turns<T> {
  private readonly classes: readonly Class<T>[] = ORDER.map(() => ({
    items: [],
    next: 0,
    passedBytes: 0,
    dueBytes: 0,
  }))

  get size(): number {
    return this.classes.reduce((sum, { items }) => sum + items.length, 0)
  }

  add(item: T, priority: Priority): void {
    this.classes[ORDER.indexOf(priority)]?.items.push(item)
  }

  /** From now on it has its turns among others. */
  move(item: T, priority: Priority): void {
    this.delete(item)
    this.add(item, priority)
  }

  delete(item: T): void {
    for (const one of this.classes) {
      const at = one.items.indexOf(item)
      if (at < 0) continue
      one.items.splice(at, 1)
      if (at < one.next) one.next--
    }
  }

  /**
   * Lets the one whose turn it is send a piece. `step` gives how many bytes it was, 0 when that one has nothing to send now, or
   * `IN_A_MOMENT`; it may delete items. Gives how many bytes were sent, 0 when nobody may send anything.
   */
  turn(step: (item: T) => number): number {
    for (const late of this.classes) {
      if (late.passedBytes === 0 || late.passedBytes < late.dueBytes) continue
      const bytes = this.within(late, step)
      if (bytes > 0) return bytes
    }
    for (const [rank, one] of this.classes.entries()) {
      const bytes = this.within(one, step)
      if (bytes === IN_A_MOMENT) return 0
      if (bytes === 0) continue
      for (const less of this.classes.slice(rank + 1)) if (less.items.length > 0) less.passedBytes += bytes
      return bytes
    }
    return 0
  }

  private within(one: Class<T>, step: (item: T) => number): number {
    // Whatever comes of it, what passed until now does not count any more.
    one.passedBytes = 0
    let nothing = 0
    for (let tries = one.items.length; tries > 0 && one.items.length > 0; tries--) {
      if (one.next >= one.items.length) one.next = 0
      const item = one.items[one.next++] as T
      const bytes = step(item)
      if (bytes <= 0) {
        nothing = Math.min(nothing, bytes)
        continue
      }
      one.dueBytes = URGENT_BYTES_PER_BYTE * bytes
      return bytes
    }
    return nothing
  }
}
