import { mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { numberedName } from './place.ts'
import { TestClient, TestContent, TestHub, temporaryFolder } from './testing.ts'

const content = (text: string, name = 'report.pdf') => TestContent.of(Buffer.from(text), { name })

function fetch(made: TestContent, to: string, more = {}) {
  const client = new TestClient()
  client.connect(new TestHub(made))
  return client.download({ id: made.id.toString('hex'), to, ...more }).done
}

t.test('a name that is taken: numbered, replaced or refused', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'report.pdf'), 'mine')
  t.equal((await fetch(content('1'), folder)).path, join(folder, 'report (2).pdf'))
  t.equal((await fetch(content('2'), folder, { overwrite: 'number' })).path, join(folder, 'report (3).pdf'))
  await t.rejects(fetch(content('3'), folder, { overwrite: 'refuse' }), { code: 'TARGET_EXISTS' })
  t.equal(readFileSync(join(folder, 'report.pdf'), 'utf8'), 'mine')
  t.equal((await fetch(content('4'), folder, { overwrite: 'replace' })).path, join(folder, 'report.pdf'))
  t.equal(readFileSync(join(folder, 'report.pdf'), 'utf8'), '4')
  t.strictSame(readdirSync(folder).sort(), ['.causeway', 'report (2).pdf', 'report (3).pdf', 'report.pdf'])
})

t.test('names that differ in case only are two where the system has two', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'REPORT.pdf'), 'mine')
  await fetch(content('1'), folder)
  t.equal(readFileSync(join(folder, 'REPORT.pdf'), 'utf8'), 'mine')
  t.equal(readdirSync(folder).filter((name) => /^report.*\.pdf$/i.test(name)).length, 2)
})

t.test('links are not followed, folders not replaced', async (t) => {
  const outer = temporaryFolder(t)
  const folder = join(outer, 'in')
  mkdirSync(folder)
  writeFileSync(join(outer, 'precious'), 'precious')
  symlinkSync('../precious', join(folder, 'report.pdf'))
  t.equal((await fetch(content('1'), folder)).path, join(folder, 'report (2).pdf'))
  t.equal(readlinkSync(join(folder, 'report.pdf')), '../precious')
  t.equal((await fetch(content('2'), folder, { overwrite: 'replace' })).path, join(folder, 'report.pdf'))
  t.equal(readFileSync(join(outer, 'precious'), 'utf8'), 'precious')

  const made = content('3')
  const hidden = join(folder, `.report.pdf.${made.id.toString('hex').slice(0, 8)}`)
  symlinkSync('../precious', `${hidden}.part`)
  await t.rejects(fetch(made, folder), { code: 'TARGET_FAILED' })
  const other = content('4')
  symlinkSync('../precious', join(folder, `.report.pdf.${other.id.toString('hex').slice(0, 8)}.journal`))
  await t.rejects(fetch(other, folder), { code: 'TARGET_FAILED' })
  t.equal(readFileSync(join(outer, 'precious'), 'utf8'), 'precious')

  mkdirSync(join(folder, 'dir.pdf'))
  await t.rejects(fetch(content('5', 'dir.pdf'), folder, { overwrite: 'replace' }), { code: 'TARGET_FAILED' })
  t.equal((await fetch(content('5', 'dir.pdf'), folder)).path, join(folder, 'dir (2).pdf'))
})

t.test('places that are none', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'file'), '')
  for (const to of [join(folder, 'missing'), join(folder, 'file')]) {
    await t.rejects(fetch(content('1'), to), { code: 'DOWNLOAD_INVALID' })
  }
  await t.rejects(fetch(content('1'), join(folder, 'missing', 'x'), { as: 'file' }), { code: 'DOWNLOAD_INVALID' })
  symlinkSync(folder, `${folder}/link`)
  t.equal((await fetch(content('1'), `${folder}/link`)).path, join(folder, 'link', 'report.pdf'))
})

t.test('long names, and none', async (t) => {
  const folder = temporaryFolder(t)
  const long = `${'字'.repeat(83)}.pdf`
  await fetch(content('1', long), folder)
  const { path } = await fetch(content('2', long), folder)
  t.match(path, / \(2\)\.pdf$/)
  t.equal(readFileSync(join(folder, long), 'utf8'), '1')
  const unnamed = content('3', '')
  t.equal((await fetch(unnamed, folder)).path, join(folder, unnamed.id.toString('hex')))
  t.equal(numberedName('a.tar.gz', 2), 'a.tar (2).gz')
  t.equal(numberedName('.profile', 2), '.profile (2)')
  for (const name of ['x'.repeat(255), `a.${'y'.repeat(253)}`, `${'字'.repeat(85)}`]) {
    t.ok(Buffer.byteLength(numberedName(name, 9999)) <= 255, name)
  }
})
