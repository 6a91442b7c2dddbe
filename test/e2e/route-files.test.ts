// Rule files as a person works on them: lint, explain, test. No hub runs.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { columns } from '#protocol/fields/mod.ts'
import { ask, run } from './cli.ts'

const RULES = `mode: first
rules:
  - name: 许可到税务
    topics: permits/#
    where: { area: [4452, 4453] }
    when: { xpath: /permit/taxpayerId }
    pipeline: base64
    to: tax
  - { name: rest, topics: '#', to: archive }
pipelines:
  base64: { steps: [{ encode: { encoding: base64 } }] }
cases:
  - name: a permit with its number
    input: { topic: permits/a, headers: { area: 4452 }, file: permit.xml, contentType: text/xml }
    expect: { rules: 许可到税务, queues: tax }
`

const folder = await mkdtemp(join(tmpdir(), 'causeway-route-files-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const file = join(folder, 'rules.yaml')
await writeFile(file, RULES)
await writeFile(join(folder, 'permit.xml'), '<permit><taxpayerId>91440300</taxpayerId></permit>')
const message = join(folder, 'message.yaml')
await writeFile(message, 'topic: permits/a\nheaders: { area: 4452 }\nfile: permit.xml\ncontentType: text/xml\n')

t.test('lint', async (t) => {
  t.match(await run('hub', ['route', 'lint', file]), { code: 0, stdout: /1 rule file\(s\) with 2 rules, no fault/ })
  const bad = join(folder, 'bad.yaml')
  await writeFile(
    bad,
    RULES.replace('topics: permits/#', "topics: '#'").replace("topics: '#', to: archive", 'topics: a, to: b'),
  )
  t.match(await ask('hub', ['route', 'lint', bad]), { code: 0 }, 'content tells them apart')
  await writeFile(bad, RULES.replace('/permit/taxpayerId', '/permit/taxpayerId('))
  t.match(await ask('hub', ['route', 'lint', bad]), {
    code: 1,
    stderr: /_SYNTAX at .*bad\.yaml:6:\d+ rules\[0\]\.when/,
  })
  const { code, stdout } = await ask('hub', ['route', 'lint', join(folder, 'none.yaml'), '--json'])
  t.equal(code, 1)
  t.match(JSON.parse(stdout), { faults: [{ code: 'RULES_FILE_UNREADABLE' }] })
})

t.test('explain', async (t) => {
  const told = await ask('hub', ['route', 'explain', file, '--message', message])
  t.equal(told.code, 0, told.stderr)
  t.match(told.stdout, /许可到税务 fits, and ends the looking/)
  t.match(told.stdout, /area is one of "4452", "4453": yes, it is "4452"/)
  t.match(told.stdout, /xpath .*\/permit\/taxpayerId gave 1 node:\s+<taxpayerId>91440300/)
  t.match(told.stdout, /rest was not reached: 许可到税务 ended the looking/)
  t.match(told.stdout, /goes to +tax through base64/)
  for (const line of told.stdout.split('\n')) t.ok(columns(line) <= 80, line)
  const other = ['--topic', 'permits/a', '--header', 'area=1', '--body', join(folder, 'permit.xml'), '--json']
  const { stdout } = await ask('hub', ['route', 'explain', file, ...other])
  t.match(JSON.parse(stdout), { rules: [{ outcome: 'headers' }, { outcome: 'fits' }], ways: [{ queues: ['archive'] }] })
  t.match(await ask('hub', ['route', 'explain', file]), { code: 2, stderr: /ROUTE_MESSAGE_UNNAMED/ })
  const none = ['--topic', 'a', '--rule', 'none']
  t.match(await ask('hub', ['route', 'explain', file, ...none]), { code: 2, stderr: /ROUTE_RULE_MISSING/ })
})

t.test('test', async (t) => {
  t.match(await ask('hub', ['route', 'test', file]), {
    code: 0,
    stdout: /^ok {4}a permit with its number\n1 case, none failed\.$/m,
  })
  const bad = join(folder, 'bad.yaml')
  await writeFile(bad, RULES.replace('queues: tax', 'queues: [tax, archive]'))
  t.match(await ask('hub', ['route', 'test', bad]), {
    code: 1,
    stdout: /FAIL .*queues\n +expected +archive, tax\n +got +tax\n1 case, 1 failed/s,
  })
  const { code, stdout } = await ask('hub', ['route', 'test', bad, '--json'])
  t.equal(code, 1)
  t.match(JSON.parse(stdout), { ok: false, files: [{ cases: [{ differences: [{ what: 'queues' }] }] }] })
})
