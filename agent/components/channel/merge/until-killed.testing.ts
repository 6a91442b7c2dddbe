// Started by kill.test.ts: `node agent/components/channel/merge/until-killed.testing.ts FOLDER SEED`. Merges numbers portion by
// portion until it is killed. What comes out, the next number and the state are committed in one transaction, as a flow's are.

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Row } from '../../contract.ts'
import { itemsOf, randomFrom, settingsOf, testContext } from '../../support/testing.ts'
import { MergeChannel, mergeSettings } from './mod.ts'
import { KILLED_SETTINGS, positionOf, rowsFrom } from './portions.testing.ts'

const [folder = '', seed = ''] = process.argv.slice(2)
const database = new DatabaseSync(join(folder, 'out.db'))
database.exec('PRAGMA synchronous = FULL')
database.exec('CREATE TABLE IF NOT EXISTS out (n INTEGER, complete INTEGER)')
database.exec('CREATE TABLE IF NOT EXISTS position (id INTEGER PRIMARY KEY, next INTEGER, state TEXT)')
const insert = database.prepare('INSERT INTO out VALUES (?, ?)')
const move = database.prepare('INSERT OR REPLACE INTO position VALUES (1, ?, ?)')
let { next, state } = positionOf(database)
const channel = new MergeChannel(settingsOf(mergeSettings, KILLED_SETTINGS), testContext(folder))
await channel.open(state)
// Where the kill comes differs from run to run; what is merged does not.
const random = randomFrom(Number(seed) + next)
const fail = (): never => {
  throw new Error('nothing is refused')
}
for (;;) {
  const rows = rowsFrom(next, 1 + Math.floor(random() * 30))
  const out = await channel.process(itemsOf(rows), fail)
  state = await channel.save()
  process.stdout.write('s')
  database.exec('BEGIN')
  for (const { row } of out)
    for (const { n } of row.items as Row[]) insert.run(n as number, row.complete === true ? 1 : 0)
  next += rows.length
  move.run(next, state)
  database.exec('COMMIT')
  process.stdout.write('c')
  await channel.committed(state)
}
