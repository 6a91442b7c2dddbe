import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Fault } from '#protocol/base/mod.ts'
import { bringFiles, Deployments } from './deployments.ts'
import { VERSIONS_KEPT_MAX } from './limits.ts'

const about = { atMs: 1, by: 'zhang', note: '', rules: 1, file: 'r.yaml', files: '0' }
const codeOf = async (act: () => unknown) => {
  try {
    await act()
    return 'nothing'
  } catch (error) {
    return error instanceof Fault ? error.code : String(error)
  }
}

async function stage(t: Test, routes: string, deployments: Deployments, text: string) {
  const from = mkdtempSync(join(t.testdirName, 'from-'))
  mkdirSync(join(from, 'schemas'))
  writeFileSync(join(from, 'r.yaml'), `# ${text}`)
  writeFileSync(join(from, 'schemas', 'a.xsd'), text)
  writeFileSync(join(from, '.hidden'), text)
  const { brought, file } = await bringFiles(routes, join(from, 'r.yaml'))
  return deployments.stage(brought, file)
}

async function add(t: Test, routes: string, deployments: Deployments, text: string, note = '') {
  return deployments.add(await stage(t, routes, deployments, text), Buffer.from(text), { ...about, note })
}

t.test('versions are there after a restart with their files, oldest first, and the last one counts', async (t) => {
  const folder = join(t.testdir(), 'routes')
  const empty = Deployments.open(folder)
  await empty.clean()
  t.equal(empty.current, null)
  t.equal(await codeOf(() => empty.set(1)), 'RULES_VERSION_UNKNOWN')
  await add(t, folder, empty, 'first')
  await add(t, folder, empty, '第二', 'because')
  const again = Deployments.open(folder)
  t.match(again.current, { version: 2, by: 'zhang', note: 'because' })
  t.equal(String(await again.set(1)), 'first')
  t.equal(String(await again.set(2)), '第二')
  t.equal(readFileSync(join(again.folderOf(1), 'schemas', 'a.xsd'), 'utf8'), 'first')
  t.notOk(existsSync(join(again.folderOf(1), '.hidden')))
  t.equal(await codeOf(() => again.stage('../x', 'r.yaml')), 'RULES_FILES_INVALID')
  t.equal(await codeOf(() => bringFiles(folder, join(t.testdirName, 'none.yaml'))), 'RULES_FILES_INVALID')
})

t.test('back to an older one: a new version with its files', async (t) => {
  const folder = join(t.testdir(), 'routes')
  const deployments = Deployments.open(folder)
  await add(t, folder, deployments, 'first')
  await add(t, folder, deployments, 'second')
  await deployments.add(await deployments.stageAgain(1), await deployments.set(1), about)
  t.equal(deployments.current?.version, 3)
  t.equal(readFileSync(join(deployments.folderOf(3), 'r.yaml'), 'utf8'), '# first')
  t.equal(await codeOf(() => deployments.stageAgain(9)), 'RULES_VERSION_UNKNOWN')
})

t.test('the oldest are forgotten, and what was only staged when the hub ended', async (t) => {
  const folder = join(t.testdir(), 'routes')
  const deployments = Deployments.open(folder)
  for (let i = 1; i <= VERSIONS_KEPT_MAX + 2; i++) await add(t, folder, deployments, `text ${i}`)
  t.equal(deployments.versions.length, VERSIONS_KEPT_MAX)
  await stage(t, folder, deployments, 'x')
  t.equal(readdirSync(folder).length, VERSIONS_KEPT_MAX + 2)
  const again = Deployments.open(folder)
  await again.clean()
  t.equal(readdirSync(folder).length, VERSIONS_KEPT_MAX + 1)
  t.equal(await codeOf(() => again.set(2)), 'RULES_VERSION_UNKNOWN')
  t.equal(String(await again.set(3)), 'text 3')
})

t.test('what was changed or is damaged is not taken for what was deployed', async (t) => {
  const folder = join(t.testdir(), 'routes')
  const deployments = Deployments.open(folder)
  await add(t, folder, deployments, 'text')
  writeFileSync(join(folder, '000001', '.rules'), 'txet')
  t.equal(await codeOf(() => deployments.set(1)), 'RULES_UNREADABLE')
  const history = join(folder, 'history.json')
  writeFileSync(history, readFileSync(history, 'utf8').replace('"current": 1', '"current": "x"'))
  t.equal(await codeOf(() => Deployments.open(folder)), 'RULES_UNREADABLE')
  writeFileSync(history, '{')
  t.equal(await codeOf(() => Deployments.open(folder)), 'RULES_UNREADABLE')
})

t.test('one that is forgotten stays so, and no number comes again', async (t) => {
  const folder = join(t.testdir(), 'routes')
  const deployments = Deployments.open(folder)
  for (const text of ['one', 'two']) await add(t, folder, deployments, text)
  t.equal(await codeOf(() => deployments.forget(3)), 'RULES_VERSION_UNKNOWN')
  await deployments.forget(1)
  t.same(readdirSync(folder).sort(), ['000002', 'history.json'])
  const again = Deployments.open(folder)
  t.equal(await codeOf(() => again.set(1)), 'RULES_VERSION_UNKNOWN')
  t.equal(again.current?.version, 2)
  await add(t, folder, again, 'three')
  t.same(
    again.versions.map(({ version }) => version),
    [2, 3],
  )
})
