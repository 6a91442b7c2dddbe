// Which positions of a queue are settled: everything below `floor`, and the ranges above it. Both ends of settlement keep one:
// the hub per queue, a destination as its flow's position. Contiguous work keeps it at one number.

/** Half-open: positions from ≤ p < to. */
export type Range = readonly [from: number, to: number]

export class RangeSet {
  private floor_: number
  private readonly ranges: [number, number][]

  /** `ranges` ascending, disjoint, above `floor`. */
  constructor(floor = 0, ranges: readonly Range[] = []) {
    this.floor_ = floor
    this.ranges = ranges.map(([from, to]) => [from, to])
  }

  /** Every position below is in the set. */
  get floor(): number {
    return this.floor_
  }

  /** The ranges above the floor, ascending and disjoint. */
  get above(): readonly Range[] {
    return this.ranges
  }

  /** One past the highest position in the set. */
  get end(): number {
    return this.ranges.at(-1)?.[1] ?? this.floor_
  }

  /** Adds from ≤ p < to; gives how many of them were new. */
  add(from: number, to: number): number {
    const start = Math.max(from, this.floor_)
    if (start >= to) return 0
    const { ranges } = this
    let first = this.search(start)
    if (first > 0 && (ranges[first - 1] as Range)[1] >= start) first--
    let last = first
    let low = start
    let high = to
    let known = 0
    while (last < ranges.length && (ranges[last] as Range)[0] <= to) {
      const [rangeFrom, rangeTo] = ranges[last] as Range
      known += Math.max(0, Math.min(rangeTo, to) - Math.max(rangeFrom, start))
      low = Math.min(low, rangeFrom)
      high = Math.max(high, rangeTo)
      last++
    }
    ranges.splice(first, last - first, [low, high])
    this.absorb()
    return to - start - known
  }

  /** Declares everything below `floor` to be in the set. */
  raise(floor: number): void {
    if (floor <= this.floor_) return
    this.floor_ = floor
    const { ranges } = this
    while (ranges.length > 0 && (ranges[0] as Range)[1] <= floor) ranges.shift()
    this.absorb()
  }

  has(position: number): boolean {
    if (position < this.floor_) return true
    const before = this.ranges[this.search(position + 1) - 1]
    return before !== undefined && position < before[1]
  }

  /** The parts of from ≤ p < to that are not in the set, ascending. */
  missing(from: number, to: number): Range[] {
    const out: Range[] = []
    let at = Math.max(from, this.floor_)
    for (let i = Math.max(0, this.search(at) - 1); i < this.ranges.length && at < to; i++) {
      const [rangeFrom, rangeTo] = this.ranges[i] as Range
      if (rangeFrom > at) out.push([at, Math.min(rangeFrom, to)])
      at = Math.max(at, rangeTo)
    }
    if (at < to) out.push([at, to])
    return out
  }

  /** Lifts the floor over the ranges that now touch it. */
  private absorb(): void {
    while (this.ranges.length > 0 && (this.ranges[0] as Range)[0] <= this.floor_) {
      this.floor_ = Math.max(this.floor_, (this.ranges.shift() as Range)[1])
    }
  }

  /** The number of ranges that begin below `position`. */
  private search(position: number): number {
    let low = 0
    let high = this.ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.ranges[middle] as Range)[0] < position) low = middle + 1
      else high = middle
    }
    return low
  }
}
