// What is out at a consumer, by position: found by binary search, taken off the front without moving the rest.

import type { Lease } from '#hub/store/mod.ts'

export class Leases {
  private list: Lease[] = []
  private head = 0

  get all(): readonly Lease[] {
    return this.list.slice(this.head)
  }

  /** Deliveries mostly ascend; what was given back and taken again is put in its place. */
  add(lease: Lease): void {
    const last = this.list.at(-1)
    if (last === undefined || this.head === this.list.length || last.from < lease.from) this.list.push(lease)
    else this.list.splice(this.search(lease.from), 0, lease)
  }

  /** The lease that holds `position`, or `undefined`. */
  at(position: number): Lease | undefined {
    const lease = this.list[this.search(position + 1) - 1]
    return lease !== undefined && this.search(position + 1) > this.head && position < lease.from + lease.count
      ? lease
      : undefined
  }

  /** Takes from ≤ p < to out of `lease`, which may leave a part on either side. */
  cut(lease: Lease, from: number, to: number): void {
    const at = this.search(lease.from)
    const rest: Lease[] = []
    if (from > lease.from) rest.push({ ...lease, count: from - lease.from })
    if (to < lease.from + lease.count) rest.push({ ...lease, from: to, count: lease.from + lease.count - to })
    if (rest.length === 0 && at === this.head) this.dropFirst()
    else this.list.splice(at, 1, ...rest)
  }

  clear(): void {
    this.list = []
    this.head = 0
  }

  private dropFirst(): void {
    this.head++
    if (this.head > 64 && this.head * 2 > this.list.length) {
      this.list = this.list.slice(this.head)
      this.head = 0
    }
  }

  /** The index of the first lease with from ≥ position. */
  private search(position: number): number {
    let low = this.head
    let high = this.list.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.list[middle] as Lease).from < position) low = middle + 1
      else high = middle
    }
    return low
  }
}
