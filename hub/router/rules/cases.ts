// Runs the cases of a rule set: what rules say of a sample, and what their pipelines make of it, against what is expected. Every case
// begins anew: a pipeline that keeps something (merge, deduplicate) has seen nothing before. A sample larger than a message takes is large
// content, to which the message refers.

import { differenceOf } from '#agent/components/cases/mod.ts'
import { DOCUMENT_BYTES_DEFAULT } from '#agent/components/limits.ts'
import { componentFault, type Item } from '#agent/components/mod.ts'
import type { Predicates } from '#agent/components/predicates/mod.ts'
import { type ContentOf, itemOf, messageOf } from '#hub/transform/messages.ts'
import { asFault, Fault } from '#protocol/base/mod.ts'
import { HEADER_CONTENT, HEADER_CONTENT_TYPE } from '#protocol/codec/mod.ts'
import { BODY_BYTES_MAX } from '#protocol/frame/mod.ts'
import { type CompiledRules, topicOf, type Way } from './compile.ts'
import { bodyOf, type ReadFile, type Sample, sampleOf } from './sample.ts'
import type { RouteCase } from './spec.ts'

/** What is not as expected: `rules`, `queues`, `reason`, `documents[2].topic`, `documents[2] at /a/b`. */
export type Difference = { readonly what: string; readonly expected: string; readonly got: string }

export type CaseOutcome = { readonly name: string; readonly differences: readonly Difference[] }

type Ran = { readonly items: readonly Item[]; readonly refused: Fault | null }

export type CaseOptions = {
  /** Compiled from those of the rules. */
  readonly predicates: Predicates
  readonly readFile: ReadFile
  /** What a pipeline makes of an item, or the fault with which it refuses. */
  readonly run: (pipeline: string, item: Item) => Promise<Ran>
  readonly nowMs: number
}

/** Something a pipeline made. */
type Made = {
  readonly queues: readonly string[]
  readonly topic: string
  readonly mediaType: string
  readonly body: Buffer
}

type Came = {
  readonly rules: readonly string[]
  readonly queues: readonly string[]
  readonly made: readonly Made[]
  /** Codes and messages with which it goes to the dead letters. */
  readonly reasons: readonly { readonly code: string; readonly text: string }[]
}

/** One case. A fault of reading its files, or of the case itself, is a difference too. */
export async function runCase(rules: CompiledRules, one: RouteCase, options: CaseOptions): Promise<CaseOutcome> {
  const { name, input, expect } = one
  try {
    const sample = await sampleOf(input, { where: `case ${JSON.stringify(name)}`, readFile: options.readFile })
    const came = await cameOf(rules, sample, options)
    const differences = [
      ...listed('rules', expect.rules, came.rules),
      ...listed('queues', expect.queues?.toSorted(), came.queues),
      ...reasonOf(expect.reason, came),
      ...(await documentsOf(one, came, options)),
    ]
    return { name, differences }
  } catch (error) {
    return { name, differences: [{ what: 'case', expected: 'that it can be run', got: asFault(error).describe() }] }
  }
}

async function cameOf(rules: CompiledRules, sample: Sample, options: CaseOptions): Promise<Came> {
  const { envelope, key, contentType } = sample
  const body = sample.body ?? Buffer.alloc(0)
  const match = rules.match(envelope)
  const over = overBound(body, rules)
  const verdicts =
    over !== null || match.wanted.length === 0
      ? match.wanted.map(() => over as Fault)
      : await options.predicates.test(body, contentType, match.wanted)
  const decision = rules.decide<Fault>(match, verdicts)
  const reasons = decision.failures.map(({ fault }) => reasonFrom(fault))
  if (decision.because === 'nothing') reasons.push({ code: 'NO_ROUTE', text: 'NO_ROUTE: no rule fits' })
  const queues = new Set<string>()
  const made: Made[] = []
  for (const way of decision.ways) {
    const refused =
      way.pipeline === null ? null : await through(way, { ...sample, body, key, envelope }, { options, made, over })
    if (refused !== null) reasons.push(reasonFrom(refused))
    else if (way.pipeline === null) for (const queue of way.queues) queues.add(queue)
  }
  for (const one of made) for (const queue of one.queues) queues.add(queue)
  return { rules: decision.rules.map(({ rule }) => rule.name), queues: [...queues].sort(), made, reasons }
}

/** Adds what a way's pipeline makes of a message; gives the fault with which it refuses. */
async function through(
  { pipeline, topic, queues }: Way,
  { envelope, key, body, contentType }: Sample & { readonly body: Buffer },
  { options, made, over }: { readonly options: CaseOptions; readonly made: Made[]; readonly over: Fault | null },
): Promise<Fault | null> {
  const headers = body.length > BODY_BYTES_MAX ? { ...envelope.headers, [HEADER_CONTENT]: LARGE } : envelope.headers
  const message = { envelope: { topic: envelope.topic, headers }, key, body }
  const item = itemOf(message, 0, () => largeOf(body, contentType, over))
  if (item instanceof Fault) return item
  const { items, refused } = await options.run(pipeline as string, item)
  if (refused !== null) return refused
  for (const one of items) {
    const original = { message, expiresAtMs: 0 }
    const to = topicOf(topic ?? '{topic}', envelope)
    const { headers, body } = messageOf(one, { topic: to, original, nowMs: options.nowMs })
    const isPassedOn = headers[HEADER_CONTENT] === LARGE
    const mediaType = isPassedOn ? contentType : String(headers[HEADER_CONTENT_TYPE] ?? '')
    made.push({ queues, topic: to, mediaType, body: typeof body === 'string' ? Buffer.from(body) : Buffer.from(body) })
  }
  return null
}

/** The id of the large content that a sample is. */
const LARGE = '0'.repeat(32)

/** Why conditions and pipelines do not get so large a sample. */
function overBound(body: Buffer, { set }: CompiledRules): Fault | null {
  const limitBytes = set.documentBytesMax ?? DOCUMENT_BYTES_DEFAULT
  if (body.length <= BODY_BYTES_MAX || body.length <= limitBytes) return null
  return componentFault('DOCUMENT_TOO_LARGE', { why: `${body.length} bytes`, limitBytes })
}

function largeOf(body: Buffer, mediaType: string, over: Fault | null): ReturnType<ContentOf> {
  const refused = () => Promise.reject(componentFault('DOCUMENT_AT_HUB'))
  const read = async () => {
    if (over !== null) throw over
    return { bytes: body, release: () => undefined }
  }
  const known = { name: '', mediaType, size: body.length }
  return { known, content: { kind: 'hub', id: LARGE, size: body.length, download: refused, read } }
}

const reasonFrom = (fault: Fault) => ({ code: fault.code, text: fault.describe() })

function listed(what: string, expected: readonly string[] | undefined, got: readonly string[]): Difference[] {
  if (expected === undefined || JSON.stringify(expected) === JSON.stringify(got)) return []
  return [{ what, expected: expected.join(', ') || 'none', got: got.join(', ') || 'none' }]
}

/** A case that expects no reason must not come to have one unseen, unless it looks at nothing but rules. */
function reasonOf(expected: string | undefined, { reasons }: Came): Difference[] {
  if (expected === undefined) {
    const [first] = reasons
    if (first === undefined || first.code === 'NO_ROUTE') return []
    return [{ what: 'reason', expected: 'none', got: first.text }]
  }
  if (reasons.some(({ code }) => code === expected)) return []
  return [{ what: 'reason', expected, got: reasons.map(({ text }) => text).join('; ') || 'none' }]
}

async function documentsOf({ name, expect }: RouteCase, { made }: Came, options: CaseOptions): Promise<Difference[]> {
  const { documents } = expect
  if (documents === undefined) return []
  if (documents.length !== made.length) {
    const got = made.map(({ topic, body }) => `${topic}: ${body.toString('utf8', 0, 200)}`).join('\n')
    return [{ what: 'documents', expected: `${documents.length}`, got: `${made.length}\n${got}`.trimEnd() }]
  }
  const differences: Difference[] = []
  for (const [i, document] of documents.entries()) {
    const what = `documents[${i}]`
    const { queues, topic, mediaType, body } = made[i] as Made
    if (document.queue !== undefined && !queues.includes(document.queue)) {
      differences.push({ what: `${what}.queue`, expected: document.queue, got: queues.join(', ') })
    }
    if (document.topic !== undefined && document.topic !== topic) {
      differences.push({ what: `${what}.topic`, expected: document.topic, got: topic })
    }
    const where = `case ${JSON.stringify(name)} ${what}`
    const wanted = await bodyOf(document, { where, readFile: options.readFile })
    const difference = wanted === null ? null : differenceOf(wanted, body, mediaType)
    if (difference === null) continue
    const { at, expected, got } = difference
    differences.push({ what: `${what} at ${at}`, expected, got })
  }
  return differences
}
