// Every copier that is installed brings a file over; none is left running.

import { join } from 'node:path'
import t from 'tap'
import { digestOf, makeContent } from '../content.ts'
import { freshFolder } from '../stage.ts'
import { copierReason, copiers } from './copiers.ts'

for (const copier of copiers) {
  const reason = await copierReason(copier)
  t.test(`${copier.name} copies a file`, { skip: reason ?? false }, async (t) => {
    const source = await makeContent(join(t.testdir(), 'content.bin'), 1_000_001)
    const folder = freshFolder(copier.name)
    t.teardown(folder.remove)
    const copying = await copier.open(folder.dir)
    try {
      t.equal(await digestOf(await copying.copy(source.path)), source.sha256)
      await t.rejects(copying.copy(join(folder.dir, 'absent')), /failed/, 'a failure is told')
    } finally {
      await copying.close()
    }
  })
}
