// Doing something with the messages of the running hub's queues.

import { command, f } from '#protocol/fields/mod.ts'
import { managementFault } from '../faults.ts'
import { filterFields, filterOf, isEmptyFilter, queueName } from '../filter.ts'
import type { Purged, Redriven } from '../operator.ts'
import { count, grid, labelled, messages as messagesText, printable } from '../show.ts'
import { ask, data, json, misused } from './settings.ts'

const all = f.boolean({ doc: 'all messages that are not in flight', default: false })
const yes = f.boolean({ doc: 'it is meant: what is removed cannot be brought back', default: false })
const WHERE = 'command line'

export const purge = command({
  summary: 'remove messages from a queue for good',
  positionals: ['queue'],
  spec: f.object({ queue: queueName, all, ...filterFields, yes, data, json }),
  run: (settings) => {
    const { queue, all } = settings
    const filter = filterOf(settings)
    if (all !== isEmptyFilter(filter)) return misuse('MESSAGES_UNNAMED', settings)
    if (!settings.yes) return misuse('NOT_CONFIRMED', settings)
    return ask<Purged>(settings, { command: 'purge', queue, all, filter }, ({ messages }) => [
      `${messagesText(messages)} removed from ${queue}.`,
    ])
  },
})

export const redrive = command({
  summary: 'move messages back to the queue they are from, or to another one',
  positionals: ['queue'],
  spec: f.object({
    queue: f.text({ doc: "queue they are in, such as '$dead' or '$unrouted'", maxLength: 512 }),
    all,
    ...filterFields,
    to: f.text({ doc: 'move them to this queue instead', maxLength: 512, optional: true }),
    data,
    json,
  }),
  run: (settings) => {
    const { queue, all, to } = settings
    const filter = filterOf(settings)
    if (all !== isEmptyFilter(filter)) return misuse('MESSAGES_UNNAMED', settings)
    const request = { command: 'redrive', queue, all, filter, ...(to === undefined ? {} : { to }) } as const
    return ask<Redriven>(settings, request, ({ moved, left, reasons, remarks = {} }) => {
      const rows = Object.entries(reasons).map(([reason, messages]) => [printable(reason), count(messages)])
      return [
        `${messagesText(moved)} moved.`,
        ...Object.entries(remarks).flatMap(([remark, messages]) => labelled(count(messages), printable(remark))),
        ...(left === 0 ? [] : [`${messagesText(left)} stayed in ${queue}:`]),
        ...(rows.length === 0 ? [] : grid([{ title: 'REASON' }, { title: 'MESSAGES', right: true }], rows)),
      ]
    })
  },
})

export const replay = command({
  summary: 'deliver what a queue retains again, from a time or a position on',
  positionals: ['queue'],
  spec: f.object({
    queue: queueName,
    fromTime: f.text({
      doc: 'what was accepted since, such as 2026-11-23T08:00 (UTC unless it ends with an offset)',
      check: (text) => (timeOf(text) === null ? 'it is no time such as 2026-11-23T08:00:00+08:00' : null),
      optional: true,
    }),
    ago: f.duration({ doc: 'what was accepted in this time until now', min: 1, optional: true }),
    fromPosition: f.integer({
      doc: 'from this position of lane 0 on; other lanes from their beginning',
      min: 0,
      optional: true,
    }),
    data,
    json,
  }),
  run: (settings) => {
    const { queue, fromTime, ago, fromPosition } = settings
    const given = [fromTime, ago, fromPosition].filter((one) => one !== undefined)
    if (given.length !== 1) return misuse('REPLAY_START_UNNAMED', settings)
    const since = fromTime === undefined ? Date.now() - (ago ?? 0) : (timeOf(fromTime) as number)
    const from = fromPosition === undefined ? { fromMs: Math.max(0, since) } : { fromPosition }
    return ask<Purged>(settings, { command: 'replay', queue, ...from }, ({ messages }) => [
      `${messagesText(messages)} of ${queue} to be delivered again.`,
    ])
  },
})

export const forget = command({
  summary: 'remove a subscription that its agent does not use any more, with what is in it',
  positionals: ['queue'],
  spec: f.object({ queue: queueName, yes, data, json }),
  run: (settings) => {
    if (!settings.yes) return misuse('NOT_CONFIRMED', settings)
    return ask<Purged>(settings, { command: 'forget', queue: settings.queue }, ({ messages }) => [
      `${settings.queue} is forgotten, with ${messagesText(messages)}.`,
    ])
  },
})

const misuse = (code: Parameters<typeof managementFault>[0], settings: { json: boolean }): Promise<number> =>
  Promise.resolve(misused(managementFault(code, { where: WHERE }), settings))

const TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)(Z|[+-]\d\d:\d\d)?)?$/

/** ISO 8601 → ms since 1970, or `null`. */
export function timeOf(text: string): number | null {
  const match = TIME.exec(text)
  if (match === null) return null
  const [, day = '', clock = '00:00', offset = 'Z'] = match
  const ms = Date.parse(`${day}T${clock}${offset}`)
  return Number.isNaN(ms) || ms < 0 ? null : ms
}
