// Runs the tests and ends with the line `N passed, N failed, N skipped`, counted from what tap reported.
// Run: node test/toolchain/run.ts [PART-OF-PATH…]. With CAUSEWAY_TALLY=FILE that last line is written there, too.

import { spawn } from 'node:child_process'
import { existsSync, globSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { finished } from 'node:stream/promises'
import { type FileReport, readTap, type Totals, totalsLine } from './tally.ts'

const root = join(import.meta.dirname, '../..')
const bin = join(root, 'node_modules/.bin')
const tap = join(root, 'node_modules/tap/dist/esm/run.mjs')

/** A run that could not start has failed. */
const NOTHING: Totals = { passed: 0, failed: 1, skipped: 0 }

/** Longer than tap gives one file (.taprc: 600 s), so that tap ends a slow test itself and says which it was. */
const SILENCE_MS_MAX = 900_000

/** The long ones stand in the first of these: begun last, one of them alone would keep the rest of the machine waiting. */
const BLOCKS = ['test', 'bench', 'firmware-images', 'hub', 'agent', 'protocol']

/** Test files, in a stable order; those below `test/soak` or named `*.soak.test.ts` belong to `make soak`. */
function testFiles(parts: readonly string[]): string[] {
  return BLOCKS.flatMap((block) => globSync(`${block}/**/*.test.ts`, { cwd: root }).sort())
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => !path.startsWith('test/soak/') && !path.endsWith('.soak.test.ts'))
    .filter((path) => parts.length === 0 || parts.some((part) => path.includes(part)))
}

function printReport({ path, ms, passed, failed, skipped, failures }: FileReport): void {
  const seconds = ms === null ? '     -' : `${(ms / 1000).toFixed(1).padStart(5)}s`
  const verdict = failed > 0 ? `FAIL ${seconds}` : `ok   ${seconds}`
  const rest = [failed > 0 ? `${failed} FAILED` : '', skipped > 0 ? `${skipped} skipped` : ''].filter(Boolean)
  console.log(`${verdict} ${String(passed).padStart(6)}  ${path}  ${rest.join(', ')}`.trimEnd())
  for (const failure of failures) console.log(`  - ${failure}`)
}

async function main(parts: readonly string[]): Promise<number> {
  const files = testFiles(parts)
  if (files.length === 0) return finish(NOTHING, [`no test file matches ${parts.join(' ')}`])
  if (!existsSync(tap)) return finish(NOTHING, ['tap is not installed: run make install'])

  const skips: string[] = []
  const silent = new Set(files)
  const { parser, totals } = readTap((report) => {
    silent.delete(report.path)
    skips.push(...report.skips)
    printReport(report)
  })
  // Programs that tests start by the name of `node` must find the pinned one.
  // Programs start hundreds of times, and compile the same each time.
  const compiled = join(root, 'node_modules/.cache/compiled')
  const env = {
    NODE_COMPILE_CACHE: compiled,
    ...process.env,
    PATH: `${bin}${delimiter}${process.env.PATH ?? ''}`,
  }
  const child = spawn(process.execPath, [tap, 'run', '--reporter=tap', ...files], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal))
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(signal ?? String(code)))
  })
  child.stdout.pipe(parser)
  const stuck = setTimeout(() => {
    console.log(`tap said nothing for ${SILENCE_MS_MAX / 1000} s: a test left a program running that holds its output`)
    child.kill('SIGKILL')
  }, SILENCE_MS_MAX)
  child.stdout.on('data', () => stuck.refresh())
  await finished(child.stdout)
  clearTimeout(stuck)
  const [counted, end] = await Promise.all([totals, ended])

  const notes: string[] = []
  // After a timeout tap leaves a file out of its report: what said nothing has not passed.
  for (const path of silent) {
    notes.push(`FAIL      -      0  ${path}: tap did not report it; run it alone with node`)
    counted.failed++
  }
  if (skips.length > 0) notes.push('', 'skipped:', ...skips.map((skip) => `  ${skip}`))
  if (end !== '0' && counted.failed === 0) {
    notes.push(`tap ended with ${end} although no test failed`)
    counted.failed++
  }
  if (counted.passed === 0 && counted.failed === 0) {
    notes.push('nothing was tested')
    counted.failed++
  }
  return finish(counted, notes)
}

function finish(totals: Totals, notes: readonly string[]): number {
  for (const note of notes) console.log(note)
  const line = totalsLine(totals)
  const tally = process.env.CAUSEWAY_TALLY
  if (tally !== undefined && tally !== '') writeFileSync(tally, `${line}\n`)
  console.log(line)
  return totals.failed === 0 ? 0 : 1
}

process.exitCode = await main(process.argv.slice(2))
