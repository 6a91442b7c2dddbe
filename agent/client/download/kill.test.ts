// A process that downloads is killed: the next one goes on, and fetches nothing again that the hub knew to be durable.

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { madeUp, TestClient, TestHub, temporaryFolder } from './testing.ts'

const program = fileURLToPath(new URL('./until-killed.testing.ts', import.meta.url))

/** Chunks that may be on their way when it is killed. */
const MORE = 8

/** Gives how many chunks its hub knew to be durable; `before` of them were so already. */
async function killedAt(folder: string, chunks: number, before: number): Promise<number> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', program, folder, String(chunks + MORE - before)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  let stored = 0
  for await (const line of createInterface({ input: child.stdout })) {
    stored = Number(line)
    if (stored >= chunks) child.kill('SIGKILL')
  }
  return stored
}

t.test('killed again and again, a download goes on', async (t) => {
  const folder = temporaryFolder(t)
  const content = madeUp()
  const { count } = content.list
  let stored = 0
  for (const part of [0.2, 0.5, 0.8]) {
    const more = await killedAt(folder, Math.floor(part * count), stored)
    t.ok(more < count, 'it was killed before its end')
    stored = more
  }
  const client = new TestClient()
  const hub = client.connect(new TestHub(content))
  const download = client.download({ id: content.id.toString('hex'), to: folder })
  const { path } = await download.done
  t.ok(hub.sentBytes <= (count - stored) * content.list.chunkBytes, 'nothing of what the hub knew came again')
  t.equal(download.progress.hashedAgainBytes, 0)
  const file = readFileSync(path)
  for (let i = 0; i < count; i++) {
    const offset = content.list.offsetAt(i)
    const bytes = content.chunk(i)
    if (!file.subarray(offset, offset + bytes.length).equals(bytes)) t.fail(`chunk ${i}`)
  }
})
