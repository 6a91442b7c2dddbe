// Downloads against a hub played by the test, with real files and threads.

import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { TestClient, TestContent, TestHub, temporaryFolder } from './testing.ts'

const CHUNK = 65_536

t.test('a content comes into its file, and nothing else is left', async (t) => {
  for (const size of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * 1024 * 1024 + 17]) {
    const folder = temporaryFolder(t)
    const bytes = randomBytes(size)
    const content = TestContent.of(bytes)
    const client = new TestClient()
    const hub = client.connect(new TestHub(content))
    const download = client.download({ id: content.id.toString('hex'), to: folder })
    const done = await download.done
    t.match(done, { path: join(folder, 'report.pdf'), size, name: 'report.pdf', origin: 'agent-a' })
    t.equal(done.root, content.list.root().toString('hex'))
    t.ok(readFileSync(done.path).equals(bytes), `${size} bytes`)
    t.strictSame(readdirSync(folder).sort(), ['.causeway', 'report.pdf'])
    t.match(download.progress, { size, receivedBytes: size, storedBytes: size, hashedAgainBytes: 0, state: 'done' })
    t.equal(hub.sealed, 1)
    t.strictSame(hub.ends, [])
  }
})
