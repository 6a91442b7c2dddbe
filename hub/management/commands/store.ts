// Tools for the store of a hub that is stopped.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import {
  type CompactResult,
  type ContentsRepair,
  type ContentsReport,
  checkContents,
  checkStore,
  compactStore,
  type DamagedBatch,
  describeDamage,
  markRestored,
  type RepairResult,
  type RestoredResult,
  repairContents,
  repairStore,
  type StoreReport,
} from '#hub/store/mod.ts'
import { command, EXIT_FAILED, EXIT_OK, f } from '#protocol/fields/mod.ts'
import { PROGRESS_MS } from '../limits.ts'
import { count, labelled, messages as messagesText, printable, size, WIDTH, wrapped } from '../show.ts'
import { data, json } from './settings.ts'

/** Findings shown to a person; --json tells all. */
const SHOWN_MAX = 50

type Settings = { readonly data: string; readonly json: boolean }
type Told = { readonly phase: string; readonly done?: number; readonly of?: number }

export const storeCheck = command({
  summary: 'read the whole store of a stopped hub, and say what is damaged',
  spec: f.object({ data, json }),
  run: async (settings) => {
    const onProgress = progressOf(settings)
    const report = await checkStore(settings.data, { onProgress })
    const folder = contentsFolder(settings.data)
    const contents = folder === null ? null : await checkContents(folder, chunksTo(onProgress))
    print(settings, { ...report, contents }, () => [
      ...reportLines(report),
      ...(contents === null ? [] : ['', ...contentsLines(contents, settings.data)]),
    ])
    return report.ok && contents?.ok !== false ? EXIT_OK : EXIT_FAILED
  },
})

export const storeRepair = command({
  summary: 'mend the store of a stopped hub; what is lost for good is named',
  spec: f.object({ data, json }),
  run: async (settings) => {
    const onProgress = progressOf(settings)
    const result = await repairStore(settings.data, { onProgress })
    const folder = contentsFolder(settings.data)
    const contents = folder === null ? null : await repairContents(folder, chunksTo(onProgress))
    print(settings, { ...result, contents }, () => [
      ...repairLines(result),
      ...(contents === null ? [] : ['', ...contentsRepairLines(contents)]),
    ])
    return result.after.ok && contents?.after.ok !== false ? EXIT_OK : EXIT_FAILED
  },
})

export const storeCompact = command({
  summary: 'make the files of a stopped hub as small as what is in them',
  spec: f.object({ data, json }),
  run: async (settings) => {
    const result = await compactStore(settings.data, { onProgress: progressOf(settings) })
    print(settings, result, () => compactLines(result))
    return EXIT_OK
  },
})

export const storeRestored = command({
  summary: 'after a backup was put back: let every agent see that this hub is an older one',
  spec: f.object({ data, json }),
  run: async (settings) => {
    const result = await markRestored(settings.data)
    print(settings, result, () => restoredLines(result))
    return EXIT_OK
  },
})

/** A hub that never ran with large content has none. */
function contentsFolder(dataDir: string): string | null {
  const folder = join(dataDir, 'contents')
  return existsSync(join(folder, 'store.mdb')) ? folder : null
}

const chunksTo = (onProgress: (told: Told) => void) => ({
  onProgress: (done: number, of: number) => onProgress({ phase: 'chunks', done, of }),
})

function print(settings: Settings, result: object, lines: () => readonly string[]): void {
  console.log(settings.json ? JSON.stringify(result) : lines().join('\n'))
}

/** Tells people, about each second, how far it is. */
function progressOf({ json }: Settings): (told: Told) => void {
  let next = performance.now() + PROGRESS_MS
  return ({ phase, done, of }) => {
    if (json || performance.now() < next) return
    next = performance.now() + PROGRESS_MS
    console.error(done === undefined ? `${phase} …` : `${phase}: ${count(done)} of ${count(of ?? 0)} …`)
  }
}

/** What `store check` prints. */
export function reportLines(report: StoreReport): string[] {
  const { folder, version, batches, bytes, references, segments, segmentBytes, unusedBytes, damaged, problems } = report
  return [
    `Store in ${folder}, version ${version}`,
    ...labelled('batches', `${count(batches)}, ${size(bytes)}, in ${count(references)} places of queues`),
    ...labelled('segments', `${count(segments)} files, ${size(segmentBytes)}, of which ${size(unusedBytes)} unused`),
    ...damageLines('Damaged:', damaged),
    ...listed('Contradictions:', problems),
    '',
    ...(report.ok
      ? ['Everything can be read, and nothing contradicts itself.']
      : [`Mend it with: causeway-hub store repair --data ${folder}`]),
  ]
}

/** What it prints of large content. */
export function contentsLines(report: ContentsReport, dataDir: string): string[] {
  const { folder, contents, chunks, bytes, damaged, incomplete, problems } = report
  const parts = damaged.map(
    ({ id, origin, name, index, why }) => `${printable(name)} of ${origin} (${id}), chunk ${index}: ${printable(why)}`,
  )
  return [
    `Large content in ${folder}`,
    ...labelled('contents', `${count(contents)}, in ${count(chunks)} chunks, ${size(bytes)}`),
    ...listed('Damaged:', parts),
    ...missingLines(incomplete),
    ...listed('Contradictions:', problems),
    '',
    ...(report.ok
      ? [incomplete.length === 0 ? 'All of it is what was sent.' : 'What is there is what was sent.']
      : [
          `Mend it with: causeway-hub store repair --data ${dataDir}`,
          'What is lost then comes again when its sender sends it again, or with any other',
          'content that has it: only what the hub lacks travels.',
        ]),
  ]
}

/** What `store repair` prints of large content. */
export function contentsRepairLines({ before, after, lines }: ContentsRepair): string[] {
  if (before.ok) return ['There was nothing to repair in large content.', ...missingLines(after.incomplete)]
  return [
    'Large content',
    ...listed('Done:', lines),
    ...missingLines(after.incomplete),
    '',
    after.ok ? 'Its store is sound now.' : 'Something is still wrong: see causeway-hub store check.',
  ]
}

function missingLines(incomplete: ContentsReport['incomplete']): string[] {
  const items = incomplete.map(({ id, origin, name, chunks }) => {
    return `${printable(name)} of ${origin} (${id}): ${count(chunks)} ${chunks === 1 ? 'chunk' : 'chunks'}`
  })
  return listed('Missing until its sender, or any content that has it, brings it again:', items)
}

/** What `store repair` prints. */
export function repairLines({ before, after, rescued, lost, lines }: RepairResult): string[] {
  const messages = lost.reduce((sum, { places }) => sum + places.reduce((all, place) => all + place.messages, 0), 0)
  if (before.ok) return ['There was nothing to repair.', ...listed('Done:', lines)]
  return [
    ...listed('Done:', lines),
    ...damageLines('Lost for good:', lost),
    '',
    `${count(rescued.length)} batches rescued, ${count(lost.length)} lost with ${messagesText(messages)} in queues.`,
    after.ok ? 'The store is sound now.' : 'Something is still wrong: see causeway-hub store check.',
  ]
}

function restoredLines({ folder, storeIdBefore, storeId }: RestoredResult): string[] {
  return [
    `Store in ${folder}`,
    ...labelled('store id', `${storeIdBefore} before, ${storeId} now`),
    '',
    'When the hub starts, its agents see the new id and begin anew:',
    '  What they have not sent yet arrives, once. What the hub had acknowledged and this',
    '  copy lacks is lost here; each agent names the numbers in its log and its status.',
    '  Messages that were settled after the copy are delivered again. Flows recognise',
    '  those they have done; other consumers may do them twice.',
    '',
    `Next: causeway-hub start --data ${folder}`,
  ]
}

function compactLines(result: CompactResult): string[] {
  const { rowsBytesBefore, rowsBytesAfter, segmentBytesBefore, segmentBytesAfter } = result
  return [
    `Store in ${result.folder}`,
    ...labelled('segments', `${size(segmentBytesBefore)} before, ${size(segmentBytesAfter)} now`),
    ...labelled('index', `${size(rowsBytesBefore)} before, ${size(rowsBytesAfter)} now`),
  ]
}

function damageLines(title: string, damaged: readonly DamagedBatch[]): string[] {
  return listed(
    title,
    damaged.map((one) => {
      const places = one.places.map(({ queue, lane, from, to, messages }) => {
        const where = from === null || to === null ? 'delayed' : `positions ${from}–${to - 1}`
        return `queue ${queue}, lane ${lane}, ${where} (${messagesText(messages)})`
      })
      return [describeDamage(one), ...places].join('; ')
    }),
  )
}

function listed(title: string, items: readonly string[]): string[] {
  if (items.length === 0) return []
  const more = items.length > SHOWN_MAX ? [`  … and ${count(items.length - SHOWN_MAX)} more: --json tells all`] : []
  const shown = items.slice(0, SHOWN_MAX).flatMap((item) => {
    return wrapped(printable(item), WIDTH - 4).map((line, i) => `${i === 0 ? '  ' : '    '}${line}`)
  })
  return ['', title, ...shown, ...more]
}
