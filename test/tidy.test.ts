// The house rules, kept by a test: each is one assertion that names file, line and how to mend it. That the rules find
// what they are for is tested on bad samples in toolchain/rules.test.ts.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { constructRules } from './toolchain/constructs.ts'
import { directionRules } from './toolchain/directions.ts'
import { fileRules } from './toolchain/files.ts'
import { describe, readHouse } from './toolchain/house.ts'

/** Findings shown of one rule; the rest is counted. */
const SHOWN_MAX = 20

const root = join(import.meta.dirname, '..')
const house = readHouse(root)

for (const rule of [...fileRules, ...directionRules, ...constructRules]) {
  const findings = rule.find(house).map(describe)
  const more = findings.length - SHOWN_MAX
  if (more > 0) findings.splice(SHOWN_MAX, more, `and ${more} more`)
  t.equal(findings.join('\n'), '', rule.name)
}

const generators = [...house.modules.values()].filter(
  ({ path, text }) => /(^|\/)generate(-[^/]+)?\.ts$/.test(path) && text.includes("'--check'"),
)
for (const { path } of generators) {
  t.test(`what ${path} makes is up to date`, async (t) => {
    const run = promisify(execFile)(process.execPath, [join(root, path), '--check'], { cwd: root })
    await t.resolves(run, `run \`node ${path}\` and keep what it writes`)
  })
}
