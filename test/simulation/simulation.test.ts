// Seeds of the simulation: `SIM_SEED=` plays one again, event by event; `SIM_SEEDS=` says how many to play.

import t from 'tap'
import { Consumer } from '#hub/session/consumer.ts'
import { Endings } from '#hub/store/endings.ts'
import { Fates } from '#hub/store/fates.ts'
import { Lane } from '#hub/store/lane.ts'
import { HubStore } from '#hub/store/mod.ts'
import { Streams } from '#hub/store/streams.ts'
import { testSeed } from '#protocol/bytes/testing.ts'
import { SimHub } from './hub.ts'
import { CAST, play, type Result } from './scenario.ts'
import { makeCast } from './stage.ts'

const SEEDS = Number(process.env.SIM_SEEDS ?? 60)
/** Without a number of seeds asked for, no more are begun after this time. */
const BUDGET_MS = process.env.SIM_SEEDS === undefined ? 25_000 : 1e9
/** Seeds a planted defect may stay unseen. */
const PLANTED_SEEDS_MAX = 20

const { cast, end } = makeCast(CAST)
t.teardown(end)
t.setTimeout(BUDGET_MS + 550_000)

function told({ seed, violations, lines, events, simulatedMs }: Result): string {
  const last = lines.slice(-120).join('\n')
  return `SIM_SEED=${seed} after ${events} events, ${Math.round(simulatedMs)} ms:\n  ${violations.join('\n  ')}\n${last}`
}

t.test('whatever fails, nothing acknowledged is lost, done twice or out of order', async (t) => {
  const only = process.env.SIM_SEED
  const first = only === undefined ? testSeed() : Number(only)
  const count = only === undefined ? SEEDS : 1
  const sum = { seeds: 0, events: 0, accepted: 0, effects: 0, lostByRestore: 0 }
  const beganMs = performance.now()
  for (let seed = first; seed < first + count && performance.now() - beganMs < BUDGET_MS; seed++) {
    const result = await play(cast, seed)
    sum.seeds++
    sum.events += result.events
    sum.accepted += result.accepted
    sum.effects += result.effects
    sum.lostByRestore += result.lostByRestore
    if (result.violations.length > 0) t.fail(told(result))
  }
  t.comment(`SIM_SEED=${first} and the ${sum.seeds - 1} after it: ${JSON.stringify(sum)}`)
  t.ok(sum.effects > 0, 'something happened')
})

t.test('a seed gives the same history every time', async (t) => {
  const seed = testSeed()
  const [one, two] = [await play(cast, seed), await play(cast, seed)]
  t.equal(two.digest, one.digest, `SIM_SEED=${seed}`)
  t.equal(two.events, one.events)
  t.not((await play(cast, seed + 1)).digest, one.digest, 'and another seed another one')
})

/** A defect for the simulation to find, put in and taken out. */
function plant<O extends object, K extends keyof O>(object: O, name: K, made: (real: O[K]) => O[K]): () => void {
  const real = object[name]
  object[name] = made(real)
  return () => {
    object[name] = real
  }
}

const DEFECTS: readonly (readonly [what: string, plant: () => () => void, found: RegExp])[] = [
  [
    'the number of a stream is not stored with its batch',
    () => plant(Streams.prototype, 'put', () => () => undefined),
    /effect in .* for the 2\. time|stalls/,
  ],
  [
    'a batch is acknowledged before it is on the disk',
    () =>
      plant(HubStore.prototype, 'append', (real) => {
        return function append(this: HubStore, ...args) {
          const written = real.apply(this, args)
          // Whether it came to the disk is what nobody waits for.
          written.catch(() => undefined)
          args[0].durableSeq = Math.max(args[0].durableSeq, args[1].lastSeq)
          return Promise.resolve()
        }
      }),
    /is lost in|stalls/,
  ],
  [
    'what a consumer had out does not come back',
    () => plant(Endings.prototype, 'giveBack', () => () => undefined),
    /are out and|stalls/,
  ],
  [
    'an ordered lane is out at whoever asks',
    () => plant(Lane.prototype as unknown as { isFreeFor(): boolean }, 'isFreeFor', () => () => true),
    /consumers have messages of it|after number/,
  ],
  [
    'a consumer is sent more than it asked for',
    () =>
      plant(Consumer.prototype, 'grant', (real) => {
        return function grant(this: Consumer, bytes, messages) {
          real.call(this, bytes, messages + 2)
        }
      }),
    /messages of/,
  ],
  [
    'a stream does not go on behind what a restored hub has lost',
    () => plant(HubStore.prototype, 'skip', () => () => Promise.resolve()),
    /stalls/,
  ],
  [
    'a hub that is proven to be restored keeps the id of its store',
    () => plant(HubStore.prototype, 'renewId', () => () => Promise.resolve()),
    /ROLLBACK_CLAIMED_AGAIN|stalls/,
  ],
  [
    'consumers of a restored hub are not told so',
    () => plant(SimHub.prototype, 'markRestored', () => () => Promise.resolve()),
    /is lost in/,
  ],
  [
    'a restored hub takes one message too many for stored',
    () =>
      plant(Streams.prototype, 'skipped', (real) => {
        return function skipped(this: Streams, stream, lastSeq) {
          real.call(this, stream, lastSeq + 1)
        }
      }),
    /is lost in|stalls|SPOOL|fails/,
  ],
  [
    'what became of a message is told for every copy',
    () =>
      plant(Fates.prototype, 'begin', (real) => {
        return function begin(this: Fates, seq, batch, placements) {
          return real.call(this, seq, batch, placements.slice(0, 1))
        }
      }),
    /final receipts|final states/,
  ],
]

for (const [what, make, found] of DEFECTS) {
  t.test(`it is found when ${what}`, async (t) => {
    const undo = make()
    t.teardown(undo)
    for (let seed = 1; seed <= PLANTED_SEEDS_MAX; seed++) {
      const { violations } = await play(cast, seed)
      if (violations.length === 0) continue
      t.match(violations.join('\n'), found, `by seed ${seed}`)
      return
    }
    t.fail(`not seen by ${PLANTED_SEEDS_MAX} seeds`)
  })
}
