import t from 'tap'
import { PRIORITY_BULK, PRIORITY_NORMAL, PRIORITY_URGENT } from '#protocol/codec/mod.ts'
import { IN_A_MOMENT, Turns, transferPriority } from './turns.ts'

type Sender = { readonly name: string; readonly pieceBytes: number; leftBytes: number; sentBytes: number }

const sender = (name: string, { pieceBytes = 1000, leftBytes = Number.MAX_SAFE_INTEGER } = {}): Sender => ({
  name,
  pieceBytes,
  leftBytes,
  sentBytes: 0,
})

function step(it: Sender): number {
  const bytes = Math.min(it.pieceBytes, it.leftBytes)
  it.leftBytes -= bytes
  it.sentBytes += bytes
  return bytes
}

/** Lets turns go on until so many bytes were sent, or there are none. */
function run(turns: Turns<Sender>, bytes: number): number {
  let sent = 0
  while (sent < bytes) {
    const piece = turns.turn(step)
    if (piece === 0) break
    sent += piece
  }
  return sent
}

t.test('those of one priority share the line evenly, by turns', async (t) => {
  const turns = new Turns<Sender>()
  const all = ['a', 'b', 'c'].map((name) => sender(name))
  for (const one of all) turns.add(one, PRIORITY_NORMAL)
  run(turns, 30_000)
  t.strictSame(
    all.map(({ sentBytes }) => sentBytes),
    [10_000, 10_000, 10_000],
  )
  turns.delete(all[0] as Sender)
  run(turns, 20_000)
  t.strictSame(
    all.map(({ sentBytes }) => sentBytes),
    [10_000, 20_000, 20_000],
  )
  t.equal(turns.size, 2)
})

t.test('what is more urgent has nearly all of the line, and none stands still', async (t) => {
  const turns = new Turns<Sender>()
  const bulk = sender('bulk')
  turns.add(bulk, PRIORITY_BULK)
  run(turns, 50_000)
  const urgent = sender('urgent')
  const normal = sender('normal')
  turns.add(urgent, PRIORITY_URGENT)
  turns.add(normal, PRIORITY_NORMAL)
  bulk.sentBytes = 0
  const sent = run(turns, 1_000_000)
  t.ok(urgent.sentBytes > 0.93 * sent, `urgent ${urgent.sentBytes}`)
  for (const { name, sentBytes } of [normal, bulk]) {
    t.ok(sentBytes > 0.025 * sent && sentBytes < 0.035 * sent, `${name} ${sentBytes}`)
  }
  turns.delete(urgent)
  bulk.sentBytes = normal.sentBytes = 0
  run(turns, 330_000)
  t.ok(bulk.sentBytes >= 9000 && bulk.sentBytes <= 11_000, `bulk ${bulk.sentBytes}`)
})

t.test('the share is one of bytes, however long the pieces are', async (t) => {
  const turns = new Turns<Sender>()
  const urgent = sender('urgent', { pieceBytes: 10 })
  const bulk = sender('bulk', { pieceBytes: 262_144 })
  turns.add(bulk, PRIORITY_BULK)
  turns.add(urgent, PRIORITY_URGENT)
  const sent = run(turns, 100_000_000)
  t.ok(bulk.sentBytes > 0.02 * sent && bulk.sentBytes < 0.04 * sent, `bulk ${bulk.sentBytes} of ${sent}`)
})

t.test('the line does not stand still while who goes first has nothing to send', async (t) => {
  const turns = new Turns<Sender>()
  const urgent = sender('urgent', { leftBytes: 5000 })
  const bulk = sender('bulk', { leftBytes: 9000 })
  turns.add(bulk, PRIORITY_BULK)
  turns.add(urgent, PRIORITY_URGENT)
  t.equal(run(turns, Number.MAX_SAFE_INTEGER), 14_000)
  t.equal(turns.turn(step), 0)
  urgent.leftBytes = 2000
  t.equal(turns.turn(step), 1000)
  t.equal(urgent.sentBytes, 6000)
})

t.test(
  'what is less urgent does not fill the line while the next urgent piece is being read, nor stand still',
  async (t) => {
    const turns = new Turns<Sender>()
    const bulk = sender('bulk')
    const urgent = sender('urgent')
    turns.add(bulk, PRIORITY_BULK)
    turns.add(urgent, PRIORITY_URGENT)
    let isReading = false
    const turn = () => turns.turn((it) => (it === urgent && isReading ? IN_A_MOMENT : step(it)))
    let sent = 0
    for (let i = 0; i < 10_000; i++) {
      // Every other turn comes while it is read.
      isReading = i % 2 === 0
      sent += turn()
    }
    t.ok(urgent.sentBytes > 0.9 * sent, `urgent ${urgent.sentBytes}`)
    t.ok(bulk.sentBytes > 0.02 * sent, `bulk ${bulk.sentBytes}`)
    const other = sender('another urgent one')
    turns.add(other, PRIORITY_URGENT)
    isReading = true
    turns.delete(bulk)
    t.equal(turn(), 1000)
    t.equal(other.sentBytes, 1000, 'another of its class does not wait for it')
  },
)

t.test('one may go, and take others along, in its turn', async (t) => {
  const turns = new Turns<string>()
  for (const name of ['a', 'b', 'c', 'd']) turns.add(name, PRIORITY_NORMAL)
  const seen: string[] = []
  const bytes = turns.turn((name) => {
    seen.push(name)
    turns.delete(name)
    if (name === 'b') turns.delete('c')
    return name === 'd' ? 7 : 0
  })
  t.strictSame([bytes, seen, turns.size], [7, ['a', 'b', 'd'], 0])
})

t.test('a priority that is not known here is the usual one', async (t) => {
  t.strictSame([0, 1, 2, 3, 4_294_967_295].map(transferPriority), [
    PRIORITY_NORMAL,
    PRIORITY_URGENT,
    PRIORITY_BULK,
    PRIORITY_NORMAL,
    PRIORITY_NORMAL,
  ])
})
