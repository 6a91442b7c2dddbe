// A department's application: every message has its effect in a SQLite table, in one transaction with the positions that
// are done in the queue's lanes. Started by rounds.ts with its settings as JSON, killed and started again at will. Prints
// `subscribed`, then `effects <flow> <how many>` after each transaction; on SIGTERM it ends.
//
// Some messages it asks for again when it first sees them, some it rejects; neither is an effect, so neither is noted as
// done: it is either moved at the hub or comes again at its place.

import { writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { Client, type Delivery, type Subscription } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { RangeSet } from '#protocol/session/mod.ts'
import { Fuse } from './fuse.ts'
import { type Flow, isRejected, isRetried, RETRY_MS, SPARE, SUBSCRIPTIONS } from './load.ts'

export type ConsumerSettings = {
  readonly identity: string
  /** Shared by all consumers. */
  readonly database: string
  readonly flows: readonly Flow[]
  /** The defect is not mended yet. */
  readonly rejects: boolean
}

type Verdict = 'effect' | 'done' | 'retry' | 'wait' | 'reject'

const settings = JSON.parse(process.argv[2] ?? '{}') as ConsumerSettings
const fuse = new Fuse()
const database = new DatabaseSync(settings.database, { timeout: 10_000 })
// The process is killed, not the machine: what is written is kept, flushed or not.
database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
// No unique constraint on effects: a second effect must show, not fail.
database.exec(`
  CREATE TABLE IF NOT EXISTS effects (
    id INTEGER PRIMARY KEY, flow TEXT NOT NULL, stream TEXT NOT NULL, number INTEGER NOT NULL
  );
  CREATE TABLE IF NOT EXISTS seen (flow TEXT, number INTEGER, PRIMARY KEY (flow, number)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS positions (
    store TEXT, flow TEXT, lane INTEGER, floor INTEGER, above TEXT, PRIMARY KEY (store, flow, lane)
  ) WITHOUT ROWID;
`)
const insert = database.prepare('INSERT INTO effects (flow, stream, number) VALUES (?, ?, ?)')
const see = database.prepare('INSERT OR IGNORE INTO seen VALUES (?, ?)')
const readDone = database.prepare('SELECT floor, above FROM positions WHERE store = ? AND flow = ? AND lane = ?')
const writeDone = database.prepare(
  'INSERT INTO positions VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET floor = excluded.floor, above = excluded.above',
)
const say = (line: string) => void writeSync(1, `${line}\n`)

function doneOf(flow: Flow, { storeId, lane, floor }: Delivery): RangeSet {
  const row = readDone.get(storeId, flow, lane) as { floor: number; above: string } | undefined
  const done = new RangeSet(row?.floor, JSON.parse(row?.above ?? '[]'))
  // What is settled does not come again.
  done.raise(floor)
  return done
}

/** In a transaction; gives what is to be told of each message. */
function take(flow: Flow, delivery: Delivery): Verdict[] {
  const { storeId, lane, stream, position } = delivery
  const done = doneOf(flow, delivery)
  const verdicts: Verdict[] = []
  for (let i = 0; i < delivery.count; i++) {
    const number = delivery.message(i).body.readUIntBE(0, 6)
    let verdict: Verdict = 'effect'
    if (done.has(position + i)) verdict = 'done'
    // With an order, whatever is behind something that is not done has to wait for it.
    else if (flow === 'keyed' && position + i !== done.floor) verdict = 'wait'
    else if (isRetried(flow, number) && see.run(flow, number).changes === 1) verdict = 'retry'
    else if (settings.rejects && isRejected(flow, number)) verdict = 'reject'
    verdicts.push(verdict)
    if (verdict !== 'effect') continue
    insert.run(flow, stream, number)
    done.add(position + i, position + i + 1)
  }
  writeDone.run(storeId, flow, lane, done.floor, JSON.stringify(done.above))
  return verdicts
}

function tell(delivery: Delivery, verdicts: readonly Verdict[]): void {
  for (let from = 0; from < verdicts.length; ) {
    const verdict = verdicts[from] as Verdict
    let to = from + 1
    while (verdicts[to] === verdict) to++
    const count = to - from
    if (verdict === 'retry') delivery.retry({ delayMs: RETRY_MS, from, count })
    else if (verdict === 'wait') delivery.retry({ from, count })
    else if (verdict === 'reject') delivery.reject('DEFECT: it is not mended yet', from, count)
    else delivery.settle(from, count)
    from = to
  }
}

async function consume(flow: Flow, subscription: Subscription): Promise<void> {
  for await (const delivery of subscription) {
    database.exec('BEGIN IMMEDIATE')
    const verdicts = take(flow, delivery)
    database.exec('COMMIT')
    fuse.hit('effect')
    say(`effects ${flow} ${verdicts.filter((verdict) => verdict === 'effect').length}`)
    tell(delivery, verdicts)
    fuse.hit('settled')
  }
}

const client = Client.start({
  identity: loadIdentity(settings.identity),
  reconnectMsFirst: 20,
  reconnectMsMax: 200,
  onUnproven: (fault) => say(`fault ${fault.describe()}`),
})
process.once('SIGTERM', () => void client.close())
try {
  const subscriptions = await Promise.all(
    settings.flows.map((flow) => {
      const own = flow === 'fan-all' || flow === 'fan-some' ? SUBSCRIPTIONS[flow] : { queue: flow }
      return client.subscribe(own)
    }),
  )
  if (settings.flows.includes('plain')) (await client.subscribe(SPARE)).close()
  say('subscribed')
  await Promise.all(settings.flows.map((flow, i) => consume(flow, subscriptions[i] as Subscription)))
} catch (error) {
  if ((error as { code?: string }).code !== 'CLIENT_CLOSED') throw error
}
database.close()
