// Requests of operators: JSON → what the hub's queues are asked to do. Parsed here once; every command is one line of the
// table below.

import type { RoutesView } from '#hub/router/mod.ts'
import { sampleOf, sampleSpec } from '#hub/router/rules/mod.ts'
import type { QueueStatus } from '#hub/telemetry/mod.ts'
import type { ContentDetails, ContentDiscarded, ContentsList } from '#hub/transfer/mod.ts'
import { asFault, type Fault, type Result } from '#protocol/base/mod.ts'
import { type FieldSpec, f, type Infer, nearest, parseValue } from '#protocol/fields/mod.ts'
import { managementFault } from './faults.ts'
import {
  contentId,
  contentState,
  type Filter,
  filterSpec,
  isEmptyFilter,
  NAME_LENGTH_MAX,
  queueName,
} from './filter.ts'
import { CONTENTS_MAX, NOTE_LENGTH_MAX, PEEK_MAX } from './limits.ts'
import { idProblem, type MessageId, parseId, type TypedId } from './message-id.ts'
import type {
  ContentsOperator,
  MessageFilter,
  MessageView,
  Operator,
  Operators,
  Progress,
  QueueView,
  RoutesOperator,
  VersionForgotten,
} from './operator.ts'

/** Where a request stands in faults. */
const WHERE = 'request'

export type QueuesAnswer = { readonly queues: readonly QueueView[]; readonly hidden: number }
export type PeekAnswer = { readonly messages: readonly MessageView[]; readonly depth: number }

const all = f.boolean({ doc: 'all messages', default: false })
const by = f.text({ doc: 'who asks', minLength: 0, maxLength: NAME_LENGTH_MAX, default: '' })
const version = f.integer({ doc: 'version', min: 1, max: Number.MAX_SAFE_INTEGER })
const note = f.text({ doc: 'why', minLength: 0, maxLength: NOTE_LENGTH_MAX, default: '' })

const commands = {
  queues: admin(
    f.object({
      queue: f.text({ doc: 'only this one', optional: true }),
      all: f.boolean({ doc: 'also inboxes and receipts that hold nothing', default: false }),
    }),
    async (operator, { queue, all }): Promise<QueuesAnswer> => {
      if (queue !== undefined) return { queues: [known(operator, queue)], hidden: 0 }
      const queues = operator.queues()
      const shown = all ? queues : queues.filter(isWorthShowing)
      return { queues: shown, hidden: queues.length - shown.length }
    },
  ),
  peek: admin(
    f.object({
      queue: queueName,
      limit: f.integer({ doc: 'messages', min: 1, max: PEEK_MAX, default: 10 }),
      filter: filterSpec,
    }),
    async (operator, { queue, limit, filter }): Promise<PeekAnswer> => {
      const { depth } = known(operator, queue)
      return { messages: operator.peek(queue, { limit, filter: wanted(operator, filter) }), depth }
    },
  ),
  purge: admin(f.object({ queue: queueName, all, filter: filterSpec }), async (operator, request, progress) => {
    const { name } = known(operator, request.queue)
    return await operator.purge(name, chosen(operator, request), progress)
  }),
  redrive: admin(
    f.object({ queue: queueName, all, to: f.text({ doc: 'queue', optional: true }), filter: filterSpec }),
    async (operator, request, progress) => {
      const { name } = known(operator, request.queue)
      const to = request.to === undefined ? {} : { to: known(operator, request.to).name }
      return await operator.redrive(name, { filter: chosen(operator, request), ...to }, progress)
    },
  ),
  replay: admin(
    f.object({
      queue: queueName,
      fromMs: f.integer({ doc: 'messages settled or not that were accepted since', min: 0, optional: true }),
      fromPosition: f.integer({ doc: 'messages from this position on', min: 0, optional: true }),
    }),
    async (operator, { queue, fromMs, fromPosition }, progress) => {
      const { name } = known(operator, queue)
      if (fromMs !== undefined && fromPosition === undefined) return await operator.replay(name, { fromMs }, progress)
      if (fromPosition === undefined || fromMs !== undefined) throw managementFault('REPLAY_START_UNNAMED')
      return await operator.replay(name, { fromPosition }, progress)
    },
  ),
  forget: admin(f.object({ queue: queueName }), async (operator, { queue }, progress) => {
    const { name } = known(operator, queue)
    return await operator.forget(name, progress)
  }),
  trace: admin(f.object({ id: f.text({ doc: 'message', check: idProblem }) }), async (operator, { id }) => {
    const found = operator.trace(parseId(id) as TypedId)
    if (found === null) throw managementFault('MESSAGE_MISSING', { where: id })
    return found
  }),
  contents: contents(
    f.object({
      origin: f.text({ doc: 'of this agent', maxLength: NAME_LENGTH_MAX, optional: true }),
      state: contentState,
      limit: f.integer({ doc: 'contents', min: 1, max: CONTENTS_MAX, default: 100 }),
    }),
    async (operator, { limit, ...filter }): Promise<ContentsList> => operator.list(filter, limit),
  ),
  content: contents(f.object({ id: contentId }), async (operator, { id }): Promise<ContentDetails> => {
    const found = operator.details(id)
    if (found === null) throw managementFault('CONTENT_GONE', { where: `content ${id}` })
    return found
  }),
  discard: contents(
    f.object({ id: contentId, force: f.boolean({ doc: 'whatever holds it', default: false }) }),
    async (operator, { id, force }): Promise<ContentDiscarded> => {
      if (operator.details(id) === null) throw managementFault('CONTENT_GONE', { where: `content ${id}` })
      return await operator.discard(id, { force })
    },
  ),
  routes: routes(f.object({}), async (operator): Promise<RoutesView> => operator.view()),
  deploy: routes(
    f.object({
      brought: f.text({ doc: 'folder below routes/', maxLength: NAME_LENGTH_MAX }),
      file: f.text({ doc: 'rule file in it', maxLength: NAME_LENGTH_MAX }),
      by,
      note,
    }),
    (operator, deployment) => operator.deploy(deployment),
  ),
  rollback: routes(f.object({ version, by, note }), (operator, { version, ...about }) =>
    operator.rollback(version, about),
  ),
  'forget-version': routes(f.object({ version }), async (operator, { version }): Promise<VersionForgotten> => {
    await operator.forget(version)
    return { version }
  }),
  explain: routes(
    f.object({
      sample: sampleSpec,
      rule: f.text({ doc: 'only this one', maxLength: NAME_LENGTH_MAX, optional: true }),
    }),
    async (operator, { sample, rule }) => {
      // Files are read where the command runs.
      const readFile = () => Promise.reject(managementFault('ADMIN_REQUEST_INVALID', { where: WHERE, why: 'file' }))
      return operator.explain(await sampleOf(sample, { where: WHERE, readFile }), rule ?? null)
    },
  ),
}

export type AdminCommand = keyof typeof commands
export type AdminRequest = { readonly command: AdminCommand } & Readonly<Record<string, unknown>>

/** A parsed request, ready to be done. */
export type AdminWork = (operators: Operators, progress: Progress) => Promise<unknown>

/** Codes: `ADMIN_REQUEST_INVALID`, `FIELD_…`; every one the request has. */
export function parseRequest(body: Uint8Array): Result<AdminWork, readonly Fault[]> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (cause) {
    return refuse('it is not JSON in UTF-8', cause)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse('it is not a JSON object')
  const { command, ...settings } = value as Readonly<Record<string, unknown>>
  if (typeof command !== 'string' || !Object.hasOwn(commands, command)) return refuse('its command is not known')
  return commands[command as AdminCommand](settings)
}

function refuse(why: string, cause?: unknown): Result<never, readonly Fault[]> {
  const details = cause === undefined ? {} : { cause: asFault(cause) }
  return { ok: false, fault: [managementFault('ADMIN_REQUEST_INVALID', { where: WHERE, why, ...details })] }
}

function admin<S extends FieldSpec>(
  spec: S,
  run: (operator: Operator, request: Infer<S>, progress: Progress) => Promise<unknown>,
): (settings: unknown) => Result<AdminWork, readonly Fault[]> {
  return (settings) => {
    const read = parseValue(spec, settings, { where: WHERE })
    if (!read.ok) return read
    return { ok: true, value: ({ queues }, progress) => run(queues, read.value as Infer<S>, progress) }
  }
}

function contents<S extends FieldSpec>(
  spec: S,
  run: (operator: ContentsOperator, request: Infer<S>) => Promise<unknown>,
): (settings: unknown) => Result<AdminWork, readonly Fault[]> {
  return (settings) => {
    const read = parseValue(spec, settings, { where: WHERE })
    if (!read.ok) return read
    return { ok: true, value: ({ contents: operator }) => run(operator, read.value as Infer<S>) }
  }
}

function routes<S extends FieldSpec>(
  spec: S,
  run: (operator: RoutesOperator, request: Infer<S>) => Promise<unknown>,
): (settings: unknown) => Result<AdminWork, readonly Fault[]> {
  return (settings) => {
    const read = parseValue(spec, settings, { where: WHERE })
    if (!read.ok) return read
    return { ok: true, value: ({ routes: operator }) => run(operator, read.value as Infer<S>) }
  }
}

/** An agent's own, which come and go with the agent. */
const isOwn = (name: string): boolean => name.startsWith('inbox/') || name.startsWith('receipts/')

/** Every agent has some that are empty most of the time. */
export const isWorthShowing = ({ name, depth, retained }: QueueStatus): boolean =>
  !isOwn(name) || depth > 0 || retained > 0

function known(operator: Operator, name: string): QueueView {
  const queues = operator.queues()
  const found = queues.find((queue) => queue.name === name)
  if (found !== undefined) return found
  const near = nearest(
    name,
    queues.map((queue) => queue.name),
  )
  const todo = near === null ? {} : { todo: `Did you mean ${near}? See causeway-hub queues --all` }
  throw managementFault('QUEUE_MISSING', { where: `queue ${name}`, ...todo })
}

/** What shall be taken out or moved is named: everything by `all`, or some by a filter. */
function chosen(operator: Operator, request: { all: boolean; filter: Filter; queue: string }): MessageFilter {
  if (request.all !== isEmptyFilter(request.filter)) throw managementFault('MESSAGES_UNNAMED', { where: request.queue })
  return wanted(operator, request.filter)
}

function wanted(operator: Operator, { id, olderThan, ...filter }: Filter): MessageFilter {
  return {
    ...(id.length === 0 ? {} : { ids: id.map((text) => complete(operator, text)) }),
    ...filter,
    ...(olderThan === undefined ? {} : { olderThanMs: olderThan }),
  }
}

/** With the newest epoch when none was written. */
function complete(operator: Operator, text: string): MessageId {
  const { epoch, ...id } = parseId(text) as TypedId
  if (epoch !== undefined) return { ...id, epoch }
  const found = operator.trace(id)
  if (found === null) throw managementFault('MESSAGE_MISSING', { where: text })
  return found.id
}
