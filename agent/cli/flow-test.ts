// causeway-agent flow test: runs the cases of flow files.

import { type CaseOutcome, caseText, IsolatedPool } from '#agent/components/mod.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { command, EXIT_FAILED, EXIT_OK, EXIT_USAGE, f, faultsText } from '#protocol/fields/mod.ts'
import { readFlow, runFlowCases } from '../compose.ts'
import { json } from './common.ts'

type Tested = { readonly file: string; readonly flow: string; readonly cases: readonly CaseOutcome[] }

export const test = command({
  summary: 'run the cases of flow files: what their channels make of samples',
  positionals: ['file'],
  spec: f.object({
    file: f.list(f.text({ doc: 'flow file' }), { doc: 'flow files', min: 1, max: 1000 }),
    json,
  }),
  run: async (settings) => {
    const pool = new IsolatedPool()
    const tested: Tested[] = []
    const faults: Fault[] = []
    try {
      for (const file of settings.file) {
        const read = await readFlow(file)
        faults.push(...read.faults)
        if (read.flow === null) continue
        try {
          tested.push({ file, flow: read.flow.name, cases: await runFlowCases(read.flow, file, pool) })
        } catch (error) {
          faults.push(asFault(error, file))
        }
      }
    } finally {
      await pool.close()
    }
    const all = tested.flatMap(({ cases }) => cases)
    const failed = all.filter(({ differences }) => differences.length > 0).length
    if (settings.json) console.log(JSON.stringify({ passed: all.length - failed, failed, files: tested, faults }))
    else {
      for (const each of tested) console.log(fileText(each))
      if (faults.length > 0) console.error(faultsText(faults, { json: false }))
      console.log(`${all.length - failed} passed, ${failed} failed`)
    }
    if (faults.length > 0) return EXIT_USAGE
    return failed === 0 ? EXIT_OK : EXIT_FAILED
  },
})

function fileText({ file, flow, cases }: Tested): string {
  const head = `${file}: flow ${flow}`
  return cases.length === 0 ? `${head} has no cases` : [head, ...cases.map(caseText)].join('\n')
}
