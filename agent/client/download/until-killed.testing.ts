// A program for kill.test.ts: downloads a made-up content slowly into the folder it is given, until it is killed. It says how many
// chunks the hub knows to be durable.

import { madeUp, TestClient, TestHub } from './testing.ts'

const content = madeUp()
const client = new TestClient()
let allowed = 0
const hub: TestHub = client.connect(new TestHub(content, { sends: () => hub.sentBytes < allowed }))
setInterval(() => {
  allowed += 512 * 1024
  hub.wake()
  console.log(hub.storedChunks.size)
}, 5)
await client.download({ id: content.id.toString('hex'), to: process.argv[2] as string }).done
