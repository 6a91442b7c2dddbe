// Runs in a thread: reads a rule file and checks all of it, so that what comes out can be used without further questions.
//
// in   JSON, `Preparation`
// out  JSON, `Prepared`, a line; then the set, as `rulesText` writes it

import { hash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { chainOf } from '#agent/components/chain/mod.ts'
import { packFault } from '#agent/components/isolation/packed-fault.ts'
import type { IsolatedModule } from '#agent/components/isolation/thread.ts'
import { builtinComponents } from '#agent/components/mod.ts'
import { asFault, type Fault, systemClock } from '#protocol/base/mod.ts'
import { compileRules, type PlacedRules, parsePlacedRules, readyPredicates, rulesText } from './rules/mod.ts'

export type Preparation = {
  readonly folder: string
  readonly file: string
  readonly queues: readonly string[]
}

/** `faults`: packed; with any there is no set. `files`: SHA-256 of all that lies beside the file. */
export type Prepared = { readonly faults: readonly string[]; readonly rules: number; readonly files: string }

const open: IsolatedModule = () => ({
  run: (input) => {
    const preparation = JSON.parse(input.toString()) as Preparation
    const { folder, file, queues } = preparation
    const parsed = parsePlacedRules(readFileSync(join(folder, file), 'utf8'), { file, queues: new Set(queues) })
    const faults = parsed.ok ? checked(parsed.value, folder) : parsed.fault
    const prepared: Prepared = {
      faults: faults.map(packFault),
      rules: parsed.ok ? parsed.value.set.rules.length : 0,
      files: digestBeside(folder, file),
    }
    const line = Buffer.from(`${JSON.stringify(prepared)}\n`)
    return parsed.ok && faults.length === 0 ? Buffer.concat([line, rulesText(parsed.value.set)]) : line
  },
})

function checked({ set, where }: PlacedRules, folder: string): Fault[] {
  const faults: Fault[] = []
  const ready = readyPredicates(compileRules(set), where)
  if (ready.ok) ready.value.dispose()
  else faults.push(...ready.fault)
  const context = {
    flow: 'deployment',
    dataDir: folder,
    clock: systemClock,
    resolvePath: (path: string) => resolve(folder, path),
    log: () => undefined,
  }
  for (const [name, { steps }] of Object.entries(set.pipelines)) {
    try {
      chainOf(steps, { context, entries: builtinComponents, pool: null, record: false })
    } catch (error) {
      faults.push(asFault(error, where(`pipelines.${name}`)))
    }
  }
  return faults
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
