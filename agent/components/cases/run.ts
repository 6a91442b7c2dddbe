// Runs cases: channels alone, without source and destination. Each case begins anew, in a folder of its own, with a clock of its own,
// which is put forward to when the channels have something: a merge that waits for an hour does not take one.

import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asFault, type Clock, type Millis, millis, systemClock } from '#protocol/base/mod.ts'
import { type Chain, type ChainOptions, type ChainReject, type ChannelSpec, chainOf } from '../chain/mod.ts'
import type { ComponentContext, Item, Row } from '../contract.ts'
import { formatJsonRecord } from '../formats/mod.ts'
import { mediaTypeOf } from '../source/directory/media-types.ts'
import { type Difference, differenceOf, exactDifferenceOf } from './difference.ts'
import { caseFault } from './faults.ts'
import { CASE_FILE_BYTES_MAX, DUE_CALLS_MAX } from './limits.ts'
import type { ChannelCase, ExpectedDocument, InputDocument } from './spec.ts'

/** `what` names the place: `rejected`, `rows[0] /code`, `documents[1] /order[1]/item[2]`. */
export type CaseDifference = { readonly what: string; readonly expected: string; readonly got: string }

/** A case that went as expected has no differences. */
export type CaseOutcome = {
  readonly name: string
  readonly ms: number
  readonly differences: readonly CaseDifference[]
}

export type RunCasesOptions = Pick<ChainOptions, 'entries' | 'threadEntries' | 'pool' | 'limits'> & {
  readonly specs: readonly ChannelSpec[]
  readonly name: string
  readonly resolvePath: ComponentContext['resolvePath']
}

/** One after the other. What keeps a case from being run is its difference. */
export async function runCases(cases: readonly ChannelCase[], options: RunCasesOptions): Promise<CaseOutcome[]> {
  const outcomes: CaseOutcome[] = []
  for (const each of cases) {
    const begunMs = performance.now()
    let differences: readonly CaseDifference[]
    try {
      differences = await differencesOf(each, options)
    } catch (error) {
      differences = [{ what: 'case', expected: 'that it can be run', got: asFault(error, each.name).describe() }]
    }
    outcomes.push({ name: each.name, ms: performance.now() - begunMs, differences })
  }
  return outcomes
}

type Came = { readonly items: Item[]; readonly rejects: ChainReject[] }

async function differencesOf(one: ChannelCase, options: RunCasesOptions): Promise<CaseDifference[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'causeway-case-'))
  try {
    const { resolvePath, specs, name, ...more } = options
    const clock = new CaseClock()
    const context = { flow: name, dataDir, clock, resolvePath, log: () => undefined }
    const items = await inputOf(one, resolvePath)
    const chain = chainOf(specs, { ...more, context, record: false })
    try {
      await chain.open(null)
      return await compared(one, await cameOf(chain, items, clock), resolvePath)
    } finally {
      await chain.close()
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}

async function cameOf(chain: Chain, items: readonly Item[], clock: CaseClock): Promise<Came> {
  const first = await chain.process(items)
  await chain.save()
  const came: Came = { items: [...first.items], rejects: [...first.rejects] }
  for (let calls = 0; calls < DUE_CALLS_MAX; calls += 1) {
    const dueAtMs = chain.dueAtMs()
    if (dueAtMs === null) break
    clock.reach(dueAtMs)
    const more = await chain.due()
    await chain.save()
    came.items.push(...more.items)
    came.rejects.push(...more.rejects)
  }
  return came
}

/** Runs as the system's does, and can be put forward. */
class CaseClock implements Clock {
  #aheadMs = 0

  wallMs(): Millis {
    return millis(systemClock.wallMs() + this.#aheadMs)
  }

  nowMs(): Millis {
    return millis(systemClock.nowMs() + this.#aheadMs)
  }

  reach(ms: number): void {
    this.#aheadMs += Math.max(0, ms - this.nowMs())
  }
}

async function inputOf({ input }: ChannelCase, resolvePath: ComponentContext['resolvePath']): Promise<Item[]> {
  const { rows = [], documents = [] } = input
  const items: Item[] = rows.map((row, i) => ({ row: row as Row, ref: i + 1 }))
  for (const [i, document] of documents.entries()) {
    const bytes = await bytesOf(document, resolvePath)
    const name = document.name ?? null
    const mediaType = document.mediaType ?? (name === null ? null : mediaTypeOf(name))
    const row = { name, size: bytes.length, modified: null, mediaType }
    items.push({ row, ref: i + 1, content: { kind: 'bytes', bytes } })
  }
  return items
}

async function compared(
  { expect }: ChannelCase,
  { items, rejects }: Came,
  resolvePath: ComponentContext['resolvePath'],
): Promise<CaseDifference[]> {
  const differences: CaseDifference[] = []
  const codes = rejects.map(({ fault }) => fault.code)
  if (codes.join() !== expect.rejected.join()) {
    const told = rejects.map(({ step, type, fault }) => `step ${step} (${type}): ${fault.describe()}`)
    differences.push({
      what: 'rejected',
      expected: expect.rejected.join(', ') || NOTHING,
      got: told.join('\n') || NOTHING,
    })
  }
  if (expect.rows !== undefined) {
    const rows = items.filter(({ content }) => content === undefined).map(({ row }) => row)
    differences.push(...rowDifferences(expect.rows as readonly Row[], rows))
  }
  if (expect.documents === undefined) return differences
  const documents = items.filter(({ content }) => content !== undefined)
  for (let i = 0; i < Math.max(documents.length, expect.documents.length); i += 1) {
    const pair = { expected: expect.documents[i], got: documents[i] }
    differences.push(...(await documentDifferences(`documents[${i}]`, pair, resolvePath)))
  }
  return differences
}

function rowDifferences(expected: readonly Row[], got: readonly Row[]): CaseDifference[] {
  const differences: CaseDifference[] = []
  for (let i = 0; i < Math.max(expected.length, got.length); i += 1) {
    const [a, b] = [expected[i], got[i]]
    const what = `rows[${i}]`
    if (a === undefined || b === undefined) differences.push({ what, expected: rowText(a), got: rowText(b) })
    else {
      const difference = differenceOf(Buffer.from(formatJsonRecord(a)), Buffer.from(formatJsonRecord(b)), JSON_TYPE)
      if (difference !== null) differences.push(placed(what, difference))
    }
  }
  return differences
}

const JSON_TYPE = 'application/json'
const NOTHING = 'nothing'
/** Of a row or document that should not be there. */
const SHOWN_CHARS = 500

const rowText = (row: Row | undefined): string =>
  row === undefined ? NOTHING : formatJsonRecord(row).slice(0, SHOWN_CHARS)

const placed = (what: string, { at, expected, got }: Difference): CaseDifference => ({
  what: `${what} ${at}`,
  expected,
  got,
})

async function documentDifferences(
  what: string,
  { expected, got }: { readonly expected: ExpectedDocument | undefined; readonly got: Item | undefined },
  resolvePath: ComponentContext['resolvePath'],
): Promise<CaseDifference[]> {
  const bytes = got?.content?.kind === 'bytes' ? bufferOf(got.content.bytes) : Buffer.alloc(0)
  if (got === undefined) return [{ what, expected: 'a document', got: NOTHING }]
  if (expected === undefined) return [{ what, expected: NOTHING, got: bytes.toString('utf8', 0, SHOWN_CHARS) }]
  const differences: CaseDifference[] = []
  for (const field of ['name', 'mediaType'] as const) {
    const [wanted, found] = [expected[field], got.row[field]]
    if (wanted === undefined || wanted === found) continue
    differences.push({ what: `${what}.${field}`, expected: wanted, got: String(found ?? NOTHING) })
  }
  const difference = compareDocument(await bytesOf(expected, resolvePath), bytes, {
    compare: expected.compare,
    mediaType: got.row.mediaType,
  })
  return difference === null ? differences : [...differences, placed(what, difference)]
}

function compareDocument(
  expected: Buffer,
  got: Buffer,
  { compare, mediaType }: { readonly compare: ExpectedDocument['compare']; readonly mediaType: unknown },
): Difference | null {
  switch (compare) {
    case 'exact':
      return exactDifferenceOf(expected, got)
    case 'auto':
      return differenceOf(expected, got, typeof mediaType === 'string' ? mediaType : '')
    default:
      return differenceOf(expected, got, `application/${compare}`)
  }
}

const bufferOf = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, byteLength)

async function bytesOf(
  { text, base64, file }: Pick<InputDocument, 'text' | 'base64' | 'file'>,
  resolvePath: ComponentContext['resolvePath'],
): Promise<Buffer> {
  if (text !== undefined) return Buffer.from(text)
  if (base64 !== undefined) return Buffer.from(base64, 'base64')
  const path = resolvePath(file ?? '')
  try {
    const { size } = await stat(path)
    if (size > CASE_FILE_BYTES_MAX) throw new Error(`it has ${size} bytes, ${CASE_FILE_BYTES_MAX} are allowed`)
    return await readFile(path)
  } catch (cause) {
    throw caseFault('CASE_FILE_UNREADABLE', { where: path, why: (cause as Error).message, cause })
  }
}
