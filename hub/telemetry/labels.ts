// Names as labels of time series, within a bound: every series costs a monitor memory for weeks. Who came first keeps a
// series of its own as long as it exists, so that the sets of labels stay the same from one scrape to the next.

/** Queues, and agents, with series of their own. */
export const LABELS_MAX = 200

/** Everything that has no series of its own; the parentheses keep it apart from names, which have none. */
export const LABEL_OTHER = '(other)'

export class Labels {
  private readonly own = new Set<string>()
  private readonly max: number

  constructor(max = LABELS_MAX) {
    this.max = max
  }

  /** The name itself, or `(other)` when there are too many already. */
  of(name: string): string {
    if (this.own.has(name)) return name
    if (this.own.size >= this.max) return LABEL_OTHER
    this.own.add(name)
    return name
  }

  /** Makes room for others in place of those that are gone; gives their names. */
  keep(alive: ReadonlySet<string>): string[] {
    const gone = [...this.own].filter((name) => !alive.has(name))
    for (const name of gone) this.own.delete(name)
    return gone
  }
}

/** Agents' own queues are thousands, and each agent has series under its own name: together they are one. */
const GROUPED: readonly (readonly [prefix: string, label: string])[] = [
  ['inbox/', '(inbox)'],
  ['receipts/', '(receipts)'],
]

/** The label of a queue. A queue that ends with its consumer's session never has its own. */
export function queueLabel(labels: Labels, name: string, ephemeral: boolean): string {
  const grouped = GROUPED.find(([prefix]) => name.startsWith(prefix))
  if (grouped !== undefined) return grouped[1]
  return ephemeral ? LABEL_OTHER : labels.of(name)
}

/** Labels that stand for several names: their sums fall when a name goes, and a counter must not. */
export const isShared = (label: string): boolean => label.startsWith('(')
