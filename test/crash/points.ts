// Where the programs of the crash test end themselves with SIGKILL. The programs say `fuse.hit(when)`; with `lasts` they
// live on to the next moment of that name, which finds the work of the first on the disk or about to be.

/** As it is sent to a program. */
export type Fuse = { readonly when: string; readonly nth: number; readonly lasts: string | null }

export type Point = {
  readonly name: string
  readonly victim: 'hub' | 'producer' | 'consumer' | 'worker'
  readonly when: string
  readonly lasts: string | null
  /** It dies at one of the first so many times, at random. */
  readonly among: number
  /** What has to be asked of the hub for it to come there. */
  readonly ask: 'forget' | 'redrive' | null
}

const point = (
  victim: Point['victim'],
  name: string,
  when: string,
  rest: Partial<Pick<Point, 'lasts' | 'among' | 'ask'>> = {},
): Point => ({ victim, name: `${victim} ${name}`, when, lasts: null, among: 20, ask: null, ...rest })

export const POINTS: readonly Point[] = [
  point('hub', 'between blobs written and flushed', 'blobs-written', { among: 8 }),
  point('hub', 'between flushed and committed', 'flushed', { among: 8 }),
  point('hub', 'after commit, before anything follows from it', 'committed', { among: 25 }),
  point('hub', 'after append, before its acknowledgement', 'appended', { among: 25 }),
  point('hub', 'after deliver, before its settlement', 'delivered', { among: 25 }),
  point('hub', 'when a settlement comes', 'settling', { among: 25 }),
  point('hub', 'when a settlement is on the disk', 'settling', { among: 25, lasts: 'committed' }),
  point('hub', 'in compaction, copies flushed', 'compacting', { among: 3 }),
  point('hub', 'in compaction, rows committed', 'compacting', { among: 3, lasts: 'committed' }),
  point('hub', 'when a delayed message falls due', 'due'),
  point('hub', 'when a delayed message has fallen due', 'due', { lasts: 'committed' }),
  point('hub', 'when a message is rejected', 'rejecting', { among: 4 }),
  point('hub', 'when a dead letter has moved', 'rejecting', { among: 4, lasts: 'committed' }),
  point('hub', 'when a message shall be tried later', 'retrying', { among: 4 }),
  point('hub', 'when a message was put off', 'retrying', { among: 4, lasts: 'committed' }),
  point('hub', 'when an old message is dropped', 'dropping', { among: 8 }),
  point('hub', 'when an old message was dropped', 'dropping', { among: 8, lasts: 'committed' }),
  point('hub', 'in forgetting a queue, entries removed', 'forgetting', { among: 2, lasts: 'committed', ask: 'forget' }),
  point('hub', 'in forgetting a queue, before a removal', 'forgetting', { among: 2, ask: 'forget' }),
  point('hub', 'in redriving dead letters', 'redriving', { among: 5, ask: 'redrive' }),
  point('hub', 'when dead letters were redriven', 'redriving', { among: 5, lasts: 'committed', ask: 'redrive' }),
  point('producer', 'after send, before its acknowledgement', 'sent', { among: 25 }),
  point('producer', 'when an acknowledgement comes', 'acknowledged', { among: 10 }),
  point('consumer', 'after effect, before its settlement', 'effect', { among: 25 }),
  point('consumer', 'after its settlement is given, before it is sent', 'settled', { among: 25 }),
  point('worker', 'after effect, before its settlement', 'effect', { among: 20 }),
]
