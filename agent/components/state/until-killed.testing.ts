// Started by log.test.ts: `node agent/components/state/until-killed.testing.ts FOLDER SEED`. Changes a state portion by portion, as
// a flow does, until it is killed. A portion is committed by writing its number and state into FOLDER/position.json.

import { join } from 'node:path'
import { readIfThere, replaceFile } from '../support/mod.ts'
import { testContext } from '../support/testing.ts'
import { changesOf, FILL_BYTES } from './changes.testing.ts'
import { StateLog } from './mod.ts'
import { Numbers } from './numbers.testing.ts'

const [folder = '', seed = ''] = process.argv.slice(2)
const position = join(folder, 'position.json')
const numbers = new Numbers(FILL_BYTES)
const log = new StateLog('numbers', numbers, testContext(folder))
const { portion, state } = JSON.parse((await readIfThere(position)) ?? '{"portion":0,"state":null}')
await log.open(state)
for (let next = portion + 1; ; next += 1) {
  await log.ready()
  for (const [name, value] of changesOf(Number(seed), next)) log.append(numbers.set(name, value))
  const saved = await log.save()
  process.stdout.write('s')
  await replaceFile(position, JSON.stringify({ portion: next, state: saved }))
  await log.committed(saved)
  process.stdout.write('c')
}
