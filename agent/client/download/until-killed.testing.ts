// A program for kill.test.ts: downloads a made-up content into the folder it is given, as many chunks of it as it
// is told and then no more, until it is killed. It says how many chunks the hub knows to be durable.

import { madeUp, TestClient, TestHub } from './testing.ts'

const content = madeUp()
const client = new TestClient()
const [, , folder = '', chunks = '0'] = process.argv
const enough = Number(chunks) * content.list.chunkBytes
let allowed = 0
const hub: TestHub = client.connect(new TestHub(content, { sends: () => hub.sentBytes < allowed }))
setInterval(() => {
  allowed = Math.min(allowed + 512 * 1024, enough)
  hub.wake()
  console.log(hub.storedChunks.size)
}, 5)
await client.download({ id: content.id.toString('hex'), to: folder }).done
