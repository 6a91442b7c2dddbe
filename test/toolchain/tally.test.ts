import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { type FileReport, readTap, type Totals, totalsLine } from './tally.ts'

async function tally(tap: string): Promise<{ files: FileReport[]; totals: Totals }> {
  const files: FileReport[] = []
  const { parser, totals } = readTap((report) => files.push(report))
  parser.end(`TAP version 14\n${tap}`)
  return { totals: await totals, files }
}

t.test('counts assertions once, whatever they are nested in', async (t) => {
  const { files, totals } = await tally(`1..2
# Subtest: hub/a.test.ts
    ok 1 - first
    # Subtest: inner
        ok 1 - second
        not ok 2 - third
          ---
          at:
            fileName: hub/a.test.ts
            lineNumber: 7
            columnNumber: 3
          diff: |
            -1
            +2
          ...
        1..2
    not ok 2 - inner # time=1ms
    1..2
not ok 1 - hub/a.test.ts # time=1200ms
# Subtest: hub/b.test.ts
    ok 1 - here # SKIP no broker on this machine
    ok 2 - later # TODO when it comes
    ok 3 - fine
    1..3
ok 2 - hub/b.test.ts # time=5ms
`)
  t.same(totals, { passed: 3, failed: 1, skipped: 2 })
  t.equal(totalsLine(totals), '3 passed, 1 failed, 2 skipped')
  t.match(files, [
    { path: 'hub/a.test.ts', ms: 1200, passed: 2, failed: 1, skipped: 0 },
    { path: 'hub/b.test.ts', ms: 5, passed: 1, failed: 0, skipped: 2 },
  ])
  t.match(files[0]?.failures[0], /a\.test\.ts > inner > third\n +at hub\/a\.test\.ts:7:3\n +diff:\n +-1\n +\+2/)
  t.same(files[1]?.skips, [
    'hub/b.test.ts > here: no broker on this machine',
    'hub/b.test.ts > later: todo: when it comes',
  ])
})

t.test('a file that ends badly after good assertions has failed', async (t) => {
  const { files, totals } = await tally(`1..1
# Subtest: hub/a.test.ts
    ok 1 - fine
    1..1
not ok 1 - hub/a.test.ts # time=5ms
  ---
  exitCode: 3
  ...
`)
  t.same(totals, { passed: 1, failed: 1, skipped: 0 })
  t.match(files[0]?.failures[0], /exitCode: 3/)
})

t.test('a broken plan is a failure', async (t) => {
  const { totals } = await tally(`1..1
# Subtest: hub/a.test.ts
    ok 1 - fine
    1..4
not ok 1 - hub/a.test.ts # time=5ms
`)
  t.equal(totals.failed, 1)
})

t.test('a file without tests has failed, one skipped with a reason is skipped', async (t) => {
  const { files, totals } = await tally(`1..2
# Subtest: hub/empty.test.ts
    1..0 # no tests found
ok 1 - hub/empty.test.ts # SKIP no tests found
# Subtest: hub/none.test.ts
    1..0 # needs a broker
ok 2 - hub/none.test.ts # SKIP needs a broker
`)
  t.same(totals, { passed: 0, failed: 1, skipped: 1 })
  t.match(files[0]?.failures[0], /empty\.test\.ts: no tests found/)
  t.same(files[1]?.skips, ['hub/none.test.ts: needs a broker'])
})

t.test('a long diagnostic is cut and says so', async (t) => {
  const { files } = await tally(`1..1
# Subtest: hub/a.test.ts
    not ok 1 - big
      ---
      diff: |
${Array.from({ length: 99 }, (_, index) => `        line ${index}`).join('\n')}
      ...
    1..1
not ok 1 - hub/a.test.ts
`)
  t.match(files[0]?.failures[0], /\(\d+ more lines: run the file alone with node\)$/)
})

t.test('a run in which no test was found fails and writes its tally', async (t) => {
  const file = join(t.testdir(), 'tally')
  const run = promisify(execFile)(process.execPath, [join(import.meta.dirname, 'run.ts'), 'no/such/test'], {
    env: { ...process.env, CAUSEWAY_TALLY: file },
  })
  await t.rejects(run, { code: 1, stdout: 'no test file matches no/such/test\n0 passed, 1 failed, 0 skipped\n' })
  t.equal(readFileSync(file, 'utf8'), '0 passed, 1 failed, 0 skipped\n')
})
