// Large content of the running hub: what there is, what moves, what holds it, when it goes; and ending it.

import type { ContentDetails, ContentDiscarded, ContentReport, ContentsList } from '#hub/transfer/mod.ts'
import { command, f } from '#protocol/fields/mod.ts'
import { contentId, contentState, NAME_LENGTH_MAX } from '../filter.ts'
import { CONTENTS_MAX } from '../limits.ts'
import { formatId } from '../message-id.ts'
import { age, count, grid, labelled, printable, size, time, WIDTH, wrapped } from '../show.ts'
import { ask, data, json } from './settings.ts'

export const contentsList = command({
  summary: 'list large content: what moves first, then the newest',
  spec: f.object({
    origin: f.text({ doc: 'of this agent', maxLength: NAME_LENGTH_MAX, optional: true }),
    state: contentState,
    limit: f.integer({ doc: 'contents shown at most', min: 1, max: CONTENTS_MAX, default: 100 }),
    data,
    json,
  }),
  run: ({ origin, state, limit, ...settings }) => {
    const request = {
      command: 'contents',
      limit,
      ...(origin === undefined ? {} : { origin }),
      ...(state === undefined ? {} : { state }),
    } as const
    return ask<ContentsList>(settings, request, (list) => listLines(list, Date.now()))
  },
})

export const contentsShow = command({
  summary: 'tell everything about one: how far it is, who fetches it, what holds it, when it goes',
  positionals: ['id'],
  spec: f.object({ id: contentId, data, json }),
  run: ({ id, ...settings }) =>
    ask<ContentDetails>(settings, { command: 'content', id }, (content) => detailLines(content, Date.now())),
})

export const contentsRemove = command({
  summary: 'remove one for good',
  positionals: ['id'],
  spec: f.object({
    id: contentId,
    force: f.boolean({ doc: 'also when messages refer to it, or it is being sent or fetched', default: false }),
    data,
    json,
  }),
  run: ({ id, force, ...settings }) =>
    ask<ContentDiscarded>(settings, { command: 'discard', id, force }, discardedLines),
})

/** What `contents list` prints. */
export function listLines({ contents, total, bytes }: ContentsList, nowMs: number): string[] {
  if (total === 0) return ['There is no large content.']
  const heads = [
    { title: 'CONTENT' },
    { title: 'SIZE', right: true },
    { title: 'STATE' },
    { title: 'HELD', right: true },
    { title: 'GOES IN', right: true },
  ]
  const rows = contents.map((content) => [
    content.id,
    size(content.size),
    stateText(content),
    count(content.holds),
    content.endsAtMs === null ? '' : age(Math.max(0, content.endsAtMs - nowMs)),
  ])
  const [head = '', ...lines] = grid(heads, rows)
  const named = contents.flatMap((content, i) => [lines[i] ?? '', ...under(content)])
  const shown = contents.length === total ? '' : `${count(contents.length)} of `
  return [head, ...named, '', `${shown}${count(total)} ${total === 1 ? 'content' : 'contents'}, ${size(bytes)}`]
}

/** What `contents show` prints. */
export function detailLines(content: ContentDetails, nowMs: number): string[] {
  const { id, origin, mediaType, storedBytes, chunks, createdAtMs, usedAtMs, endsAtMs, expiresAtMs } = content
  const ago = (ms: number) => `${time(ms)}, ${age(nowMs - ms)} ago`
  const expires = expiresAtMs === null ? '' : `; it expires ${time(expiresAtMs)}, whatever refers to it`
  const goes = endsAtMs === null ? 'not while something holds it' : `${time(endsAtMs)}, in ${age(endsAtMs - nowMs)}`
  return [
    `Content ${id}`,
    ...labelled('name', printable(nameOf(content))),
    ...labelled('from', origin),
    ...labelled('type', printable(mediaType) || 'not said'),
    ...labelled('size', `${count(content.size)} B`),
    ...labelled('state', `${stateText(content)}; ${count(chunks)} chunks of ${size(storedBytes)} are here`),
    ...labelled('begun', ago(createdAtMs)),
    ...labelled('used', ago(usedAtMs)),
    ...labelled('moves', content.movements.map(movementText).join('; ') || 'not'),
    ...labelled('held by', heldText(content)),
    ...labelled('sent to', content.readers.join(', ') || 'nobody yet'),
    ...labelled('goes', `${goes}${expires}`),
  ]
}

function discardedLines({ name, id, origin, storedBytes, holds, transfers }: ContentDiscarded): string[] {
  const told = [`${nameOf({ name })} of ${origin} (${id}) is removed, ${size(storedBytes)}.`]
  if (transfers > 0) told.push(`${transfersText(transfers)} of it ended.`)
  if (holds > 0) {
    told.push(`${batchesText(holds)} of messages still refer to it: whoever receives them cannot have it.`)
  }
  return told.flatMap((line) => wrapped(printable(line), WIDTH))
}

/** Who it is from, and what moves of it. */
function under(content: ContentReport): string[] {
  const lines = [`${nameOf(content)} of ${content.origin}`, ...content.movements.map(movementText)]
  return lines.flatMap((line) =>
    wrapped(printable(line), WIDTH - 4).map((part, i) => `${i === 0 ? '  ' : '    '}${part}`),
  )
}

function stateText({ state, storedBytes, size }: ContentReport): string {
  if (state === 'whole') return 'whole'
  const percent = size === 0 ? 0 : Math.floor((100 * storedBytes) / size)
  return `${state} ${percent}%`
}

function movementText({ direction, by, bytes, bytesPerSecond }: ContentReport['movements'][number]): string {
  return `${direction === 'in' ? 'from' : 'to'} ${by}: ${size(bytes)}, ${size(bytesPerSecond)}/s`
}

function heldText({ holds, messages }: ContentDetails): string {
  if (holds === 0) return 'no message'
  const names = messages.map((id) => printable(formatId(id)))
  return [`${batchesText(holds)} of messages`, ...(names.length === 0 ? [] : [`such as ${names.join(' ')}`])].join(', ')
}

const nameOf = ({ name }: { readonly name: string }): string => name || '(no name)'
const batchesText = (number: number): string => `${count(number)} ${number === 1 ? 'batch' : 'batches'}`
const transfersText = (number: number): string => `${count(number)} ${number === 1 ? 'transfer' : 'transfers'}`
