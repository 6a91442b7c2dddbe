// A department's application: every message has its effect in a SQLite table, in one transaction with the position
// reached in the queue. Started by rounds.ts with its settings as JSON, killed and started again at will. Prints
// `effects <count>` after each transaction; on SIGTERM it ends.

import { writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { Client } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import type { ConsumerSettings } from './rounds.ts'

const { identity: folder, database: path, queue } = JSON.parse(process.argv[2] ?? '{}') as ConsumerSettings
const database = new DatabaseSync(path)
database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
// No unique constraint: a second effect must show, not fail.
database.exec(`
  CREATE TABLE IF NOT EXISTS effects (id INTEGER PRIMARY KEY, stream TEXT NOT NULL, number INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS position (store TEXT PRIMARY KEY, next INTEGER NOT NULL);
`)
const insert = database.prepare('INSERT INTO effects (stream, number) VALUES (?, ?)')
const readNext = database.prepare('SELECT next FROM position WHERE store = ?')
const writeNext = database.prepare('INSERT INTO position VALUES (?, ?) ON CONFLICT DO UPDATE SET next = excluded.next')
const counted = database.prepare('SELECT count(*) AS count FROM effects').get() as { count: number }
const say = (line: string) => void writeSync(1, `${line}\n`)

const identity = loadIdentity(folder)
const client = Client.start({ identity, reconnectMsFirst: 20, reconnectMsMax: 200 })
process.once('SIGTERM', () => void client.close())
const subscription = await client.subscribe({ queue })
let { count } = counted
for await (const delivery of subscription) {
  const next = (readNext.get(delivery.storeId) as { next: number } | undefined)?.next ?? 0
  const end = delivery.position + delivery.count
  if (delivery.position > next) say(`fault position ${delivery.position} came, ${next} was next`)
  database.exec('BEGIN IMMEDIATE')
  // What was delivered before and not known to be settled comes again: its effect is there already.
  for (let i = Math.max(0, next - delivery.position); i < delivery.count; i++) {
    insert.run(delivery.stream, delivery.message(i).body.readUIntBE(0, 6))
    count++
  }
  writeNext.run(delivery.storeId, Math.max(next, end))
  database.exec('COMMIT')
  say(`effects ${count}`)
  delivery.settle()
}
database.close()
