import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Fault } from '#protocol/base/mod.ts'
import { Deployments } from './deployments.ts'
import { VERSIONS_KEPT_MAX } from './limits.ts'

const about = { atMs: 1, by: 'zhang', note: '', rules: 1 }
const codeOf = async (act: () => unknown) => {
  try {
    await act()
    return 'nothing'
  } catch (error) {
    return error instanceof Fault ? error.code : String(error)
  }
}

t.test('versions are there after a restart, oldest first, and the last one counts', async (t) => {
  const folder = join(t.testdir(), 'routes')
  const empty = Deployments.open(folder)
  t.equal(empty.current, null)
  t.equal(await codeOf(() => empty.text(1)), 'RULES_VERSION_UNKNOWN')
  await empty.add('first', about)
  await empty.add('第二', { ...about, note: 'because' })
  const again = Deployments.open(folder)
  t.match(again.current, { version: 2, by: 'zhang', note: 'because' })
  t.equal(await again.text(1), 'first')
  t.equal(await again.text(2), '第二')
})

t.test('the oldest are forgotten', async (t) => {
  const folder = join(t.testdir(), 'routes')
  const deployments = Deployments.open(folder)
  for (let i = 1; i <= VERSIONS_KEPT_MAX + 2; i++) await deployments.add(`text ${i}`, about)
  t.equal(deployments.versions.length, VERSIONS_KEPT_MAX)
  t.equal(readdirSync(folder).length, VERSIONS_KEPT_MAX + 1)
  t.equal(await codeOf(() => deployments.text(2)), 'RULES_VERSION_UNKNOWN')
  t.equal(await Deployments.open(folder).text(3), 'text 3')
})

t.test('what was changed or is damaged is not taken for what was deployed', async (t) => {
  const folder = join(t.testdir(), 'routes')
  const deployments = Deployments.open(folder)
  await deployments.add('text', about)
  writeFileSync(join(folder, '000001.rules'), 'txet')
  t.equal(await codeOf(() => deployments.text(1)), 'RULES_UNREADABLE')
  const history = join(folder, 'history.json')
  writeFileSync(history, readFileSync(history, 'utf8').replace('"current": 1', '"current": "x"'))
  t.equal(await codeOf(() => Deployments.open(folder)), 'RULES_UNREADABLE')
  writeFileSync(history, '{')
  t.equal(await codeOf(() => Deployments.open(folder)), 'RULES_UNREADABLE')
})
