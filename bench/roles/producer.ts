// Publishes as fast as the hub acknowledges. Body: u32 counter, then filler. A scenario starts it with settings as JSON:
// node bench/roles/producer.ts SETTINGS

import { Client } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'

type Settings = {
  identity: string
  topic: string
  bodyBytes: number
  batchBytes: number
  windowBytes: number
  compression: 'none' | 'zstd'
  proof: 'batch' | 'message'
}

const settings = JSON.parse(process.argv[2] ?? '{}') as Settings
const client = await Client.connect({ identity: loadIdentity(settings.identity) })
const publisher = client.publisher({ stream: 'bench', ...settings })
const body = Buffer.alloc(settings.bodyBytes, 'x')
const message = { topic: settings.topic, body }
let sent = 0
let stopping = false
process.on('message', (text) => {
  if (text === 'stop') stopping = true
})
/** Published between two looks at the window. */
const BURST = Math.max(1, Math.floor(settings.batchBytes / settings.bodyBytes))
while (!stopping) {
  await publisher.room()
  for (let i = 0; i < BURST; i++) {
    body.writeUInt32LE(sent % 2 ** 32, 0)
    sent++
    void publisher.publish(message)
  }
  // Lets acknowledgements in between bursts.
  await new Promise((resolve) => setImmediate(resolve))
}
await publisher.flush()
process.send?.({ sent, cpu: process.cpuUsage() })
await client.close()
process.disconnect?.()
