// Runs the cases that rule files carry. No hub is asked.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { IsolatedPool } from '#agent/components/isolation/mod.ts'
import { type CaseOutcome, readyFaults, runCases } from '#hub/router/rules/mod.ts'
import { type Fault, systemClock } from '#protocol/base/mod.ts'
import { command, EXIT_FAILED, EXIT_OK, f, faultsText } from '#protocol/fields/mod.ts'
import { readBytes, readRules } from './route.ts'
import { outcomeLines, summaryLine } from './route-show.ts'
import { json } from './settings.ts'

type Tested = { readonly file: string; readonly cases: readonly CaseOutcome[]; readonly faults: readonly Fault[] }

export const routeTest = command({
  summary: 'run the cases of rule files: what comes of samples, pipelines included',
  positionals: ['file'],
  spec: f.object({
    file: f.list(f.text({ doc: 'rule file' }), { doc: 'rule files', min: 1, max: 1000 }),
    json,
  }),
  run: async (settings) => {
    const tested: Tested[] = []
    const dataDir = await mkdtemp(join(tmpdir(), 'causeway-route-test-'))
    const pool = new IsolatedPool()
    try {
      for (const file of settings.file) {
        if (!settings.json && settings.file.length > 1) console.log(file)
        tested.push(await test(file, { dataDir, pool, told: !settings.json }))
      }
    } finally {
      await pool.close()
      await rm(dataDir, { recursive: true, force: true })
    }
    const failed = tested.some(
      ({ cases, faults }) => faults.length > 0 || cases.some(({ differences }) => differences.length > 0),
    )
    if (settings.json) console.log(JSON.stringify({ ok: !failed, files: tested }))
    else if (tested.some(({ faults }) => faults.length === 0))
      console.log(summaryLine(tested.flatMap(({ cases }) => cases)))
    return failed ? EXIT_FAILED : EXIT_OK
  },
})

type Options = { readonly dataDir: string; readonly pool: IsolatedPool; readonly told: boolean }

async function test(file: string, { dataDir, pool, told }: Options): Promise<Tested> {
  const folder = dirname(file)
  const folders = { folder, dataDir, clock: systemClock }
  const read = await readRules(file)
  const faults = read.ok ? readyFaults(read.value, folders) : read.fault
  if (!read.ok || faults.length > 0) {
    if (told) console.error(faultsText(faults, { json: false }))
    return { file, cases: [], faults }
  }
  const cases: CaseOutcome[] = []
  const readFile = (path: string) => readBytes(resolve(folder, path))
  for await (const outcome of runCases(read.value.set, { ...folders, pool, readFile })) {
    cases.push(outcome)
    if (told) console.log(outcomeLines(outcome).join('\n'))
  }
  return { file, cases, faults: [] }
}
