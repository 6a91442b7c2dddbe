// Runs in a thread: reads a rule file and tries all of it (expressions are compiled, pipelines opened, cases run), so that what comes out
// can be used without further questions.
//
// in   JSON, `Preparation`
// out  JSON, `Prepared`, a line; then the set, as `rulesText` writes it

import { hash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve, sep } from 'node:path'
import { chainOf } from '#agent/components/chain/mod.ts'
import { packFault } from '#agent/components/isolation/packed-fault.ts'
import type { IsolatedModule } from '#agent/components/isolation/thread.ts'
import { builtinComponents } from '#agent/components/mod.ts'
import { asFault, Fault, systemClock } from '#protocol/base/mod.ts'
import {
  CASE_FILE_BYTES_MAX,
  caseFaults,
  contextOf,
  type Folders,
  type PlacedRules,
  parsePlacedRules,
  readyFaults,
  rulesFault,
  rulesText,
} from './rules/mod.ts'

export type Preparation = {
  readonly folder: string
  readonly file: string
  readonly queues: readonly string[]
}

/** `faults`: packed; with any there is no set. `files`: SHA-256 of all that lies beside the file. */
export type Prepared = { readonly faults: readonly string[]; readonly rules: number; readonly files: string }

const open: IsolatedModule = () => ({
  run: async (input) => {
    const preparation = JSON.parse(input.toString()) as Preparation
    const { folder, file, queues } = preparation
    const parsed = parsePlacedRules(readFileSync(join(folder, file), 'utf8'), { file, queues: new Set(queues) })
    const faults = parsed.ok ? await checked(parsed.value, folder) : parsed.fault
    const prepared: Prepared = {
      faults: faults.map(packFault),
      rules: parsed.ok ? parsed.value.set.rules.length : 0,
      files: digestBeside(folder, file),
    }
    const line = Buffer.from(`${JSON.stringify(prepared)}\n`)
    return parsed.ok && faults.length === 0 ? Buffer.concat([line, rulesText(parsed.value.set)]) : line
  },
})

/** All that is wrong: conditions and pipelines that cannot be made, or else cases that do not come out. */
async function checked(placed: PlacedRules, folder: string): Promise<Fault[]> {
  const dataDir = mkdtempSync(join(tmpdir(), 'causeway-cases-'))
  try {
    const folders = { folder, dataDir, clock: systemClock }
    const faults = readyFaults(placed, folders)
    if (faults.length === 0) faults.push(...(await openingFaults(placed, folders)))
    if (faults.length > 0) return faults
    // The thread is bounded as a whole.
    return await caseFaults(placed, { ...folders, pool: null, readFile: async (path) => readBeside(folder, path) })
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}

/** What keeps pipelines from being opened: files that are missing or wrong. */
async function openingFaults({ set, where }: PlacedRules, folders: Folders): Promise<Fault[]> {
  const faults: Fault[] = []
  for (const [name, { steps }] of Object.entries(set.pipelines)) {
    const chain = chainOf(steps, { context: contextOf(folders), entries: builtinComponents, pool: null, record: false })
    try {
      await chain.open(null)
    } catch (error) {
      const { code, message, remedy, where: inside, details } = asFault(error)
      const place = where(`pipelines.${name}`)
      const at = inside === null ? place : `${place}, ${inside}`
      faults.push(new Fault(code, { meaning: message, remedy }, { ...details, where: at }))
    } finally {
      await chain.close()
    }
  }
  return faults
}

/** A file that a case names; deployed are only those beside the rules. */
function readBeside(folder: string, path: string): Buffer {
  const base = resolve(folder)
  const file = resolve(base, path)
  const why = !file.startsWith(base + sep) ? 'it does not lie beside the rules' : sizeOf(file)
  if (typeof why === 'string') throw rulesFault('RULES_FILE_UNREADABLE', { where: path, why })
  if (why > CASE_FILE_BYTES_MAX) throw rulesFault('RULES_FILE_TOO_LARGE', { where: path, why: `${why} bytes` })
  return readFileSync(file)
}

function sizeOf(file: string): number | string {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat?.isFile() === true ? stat.size : 'it is no file'
}

/** Of names and contents of all other files. */
function digestBeside(folder: string, file: string): string {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => path !== join(folder, file))
    .sort()
  const parts = names.map((path) => `${path.slice(folder.length)}\0${hash('sha256', readFileSync(path), 'hex')}\n`)
  return hash('sha256', parts.join(''), 'hex')
}

export default open
