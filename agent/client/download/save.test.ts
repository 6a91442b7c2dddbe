// A small file that came in its message, in the folder of the receiver.

import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { saveFile } from './save.ts'

t.test('it has its name, or a numbered one; the same is not written again', async (t) => {
  const to = t.testdir({ 'a.txt': 'there' })
  const save = (name: string, text: string) => saveFile({ to, name, bytes: Buffer.from(text) })
  t.equal(await save('a.txt', 'one'), join(to, 'a (2).txt'))
  t.equal(await save('a.txt', 'one'), join(to, 'a (2).txt'))
  t.equal(await save('a.txt', 'two'), join(to, 'a (3).txt'))
  t.equal(await save('empty', ''), join(to, 'empty'))
  t.strictSame(readdirSync(to).sort(), ['a (2).txt', 'a (3).txt', 'a.txt', 'empty'])
  t.equal(readFileSync(join(to, 'a.txt'), 'utf8'), 'there')
})

t.test('what is in the way is left alone', async (t) => {
  const to = t.testdir({ out: {} })
  mkdirSync(join(to, 'folder'))
  writeFileSync(join(to, 'out', 'secret'), 'secret')
  symlinkSync(join(to, 'out', 'secret'), join(to, 'link'))
  const bytes = Buffer.from('secret')
  t.equal(await saveFile({ to, name: 'folder', bytes }), join(to, 'folder (2)'))
  t.equal(await saveFile({ to, name: 'link', bytes }), join(to, 'link (2)'))
  for (const name of ['../out', 'con', '', '.x']) {
    await t.rejects(saveFile({ to, name, bytes }), { code: 'CONTENT_NAME_INVALID' })
  }
  await t.rejects(saveFile({ to: join(to, 'none'), name: 'x', bytes }), { code: 'DOWNLOAD_INVALID' })
})
