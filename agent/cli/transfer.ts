// causeway-agent transfer: what is wished of a file on its way, also after a restart.

import { setTimeout as sleep } from 'node:timers/promises'
import type { TransferWish } from '#agent/client/mod.ts'
import { asFault } from '#protocol/base/mod.ts'
import { command, EXIT_OK, f } from '#protocol/fields/mod.ts'
import { agentFault, readCommands, readStatus, type TransferStatus, WishFolder } from '../telemetry/mod.ts'
import { data, json } from './common.ts'

/** Who moves it looks four times a second, and tells twice a second. */
const FOLLOWED_MS_MAX = 5000
const LOOK_MS = 50
/** As it begins, an id is told apart. */
const ID_DIGITS_MIN = 6

const transfer = f.text({ doc: 'name of the file, or id of the content or its first six digits', maxLength: 255 })

export const prioritize = command({
  summary: 'change the priority of a file while it is sent or received',
  positionals: ['transfer', 'priority'],
  spec: f.object({
    transfer,
    priority: f.choice(['normal', 'urgent', 'bulk'] as const, {
      doc: 'urgent ones get nearly all of the line, bulk ones what is left',
    }),
    data,
    json,
  }),
  run: (settings) => wish(settings, { priority: settings.priority }),
})

export const pause = command({
  summary: 'let a file rest that is sent or received, until it is resumed',
  positionals: ['transfer'],
  spec: f.object({ transfer, data, json }),
  run: (settings) => wish(settings, { paused: true }),
})

export const resume = command({
  summary: 'go on with a file that was paused',
  positionals: ['transfer'],
  spec: f.object({ transfer, data, json }),
  run: (settings) => wish(settings, { paused: false }),
})

export const cancel = command({
  summary: 'give up a file that is sent or received',
  positionals: ['transfer'],
  spec: f.object({ transfer, data, json }),
  run: (settings) => wish(settings, { cancelled: true }),
})

type Settings = { readonly transfer: string; readonly data: string; readonly json: boolean }

/** Faults: `TRANSFER_NOT_FOUND`, `TRANSFER_ARRIVED`, `WISH_NOT_FOLLOWED`. */
async function wish({ transfer: named, data: dataDir, json: asJson }: Settings, what: TransferWish): Promise<number> {
  const { id, name } = find(transfersIn(dataDir), named)
  const wishes = new WishFolder(dataDir)
  wishes.add(id, what)
  const untilMs = performance.now() + FOLLOWED_MS_MAX
  for (;;) {
    const now = transfersIn(dataDir).filter((one) => one.id === id)
    // One that has arrived meanwhile wants nothing any more.
    if (now.every((one) => follows(one, what))) break
    if (performance.now() > untilMs) throw agentFault('WISH_NOT_FOLLOWED', { where: named })
    await sleep(LOOK_MS)
  }
  if (what.cancelled === true && wishes.hasArrived(id)) {
    wishes.over(id)
    throw agentFault('TRANSFER_ARRIVED', { where: named })
  }
  if (asJson) console.log(JSON.stringify({ id, name, ...what }))
  else console.log(`${name === '' ? id : name}: ${saidOf(what)}.`)
  return EXIT_OK
}

const follows = ({ priority, state }: TransferStatus, what: TransferWish): boolean =>
  what.cancelled !== true &&
  (what.priority === undefined || what.priority === priority) &&
  (what.paused === undefined || what.paused === (state === 'paused'))

function saidOf({ priority, paused, cancelled }: TransferWish): string {
  if (cancelled === true) return 'given up'
  return priority === undefined ? (paused === true ? 'paused' : 'goes on') : `${priority} from now on`
}

/** Of the running agent and of commands. */
function transfersIn(dataDir: string): TransferStatus[] {
  const ofCommands = readCommands(dataDir).flatMap(({ transfers }) => transfers)
  try {
    return [...readStatus(dataDir).transfers, ...ofCommands]
  } catch (error) {
    if (asFault(error).code === 'AGENT_NOT_RUNNING') return ofCommands
    throw error
  }
}

/** Faults: `TRANSFER_NOT_FOUND`. */
function find(transfers: readonly TransferStatus[], named: string): TransferStatus {
  const isId = /^[0-9a-f]+$/i.test(named) && named.length >= ID_DIGITS_MIN
  const ofId = isId ? transfers.filter(({ id }) => id.startsWith(named.toLowerCase())) : []
  const found = ofId.length > 0 ? ofId : transfers.filter(({ name }) => name === named)
  const ids = [...new Set(found.map(({ id }) => id))]
  const [first] = found
  if (first !== undefined && ids.length === 1) return first
  throw agentFault('TRANSFER_NOT_FOUND', {
    where: named,
    why: ids.length === 0 ? `there are ${transfers.length} others` : `it could be ${ids.slice(0, 10).join(', ')}`,
  })
}
