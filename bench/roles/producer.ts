// Publishes as fast as the hub acknowledges. Body: u32 counter, then filler or a row. A scenario starts it with settings as
// JSON: node bench/roles/producer.ts SETTINGS

import { Client } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { recordBodies } from '../records.ts'

type Settings = {
  identity: string
  topic: string
  bodyBytes: number
  batchBytes: number
  windowBytes: number
  compression: 'none' | 'zstd'
  proof: 'batch' | 'message'
  bodies: 'filler' | 'records'
}

/** Four batches of 256 B and more: none repeats a row. */
const ROWS = 4096

const settings = JSON.parse(process.argv[2] ?? '{}') as Settings
const client = await Client.connect({ identity: loadIdentity(settings.identity) })
const publisher = client.publisher({ stream: 'bench', ...settings })
const { bodyBytes } = settings
const bodies =
  settings.bodies === 'records'
    ? recordBodies({ count: ROWS, bytes: bodyBytes, seed: 1 })
    : [Buffer.alloc(bodyBytes, 'x')]
const messages = bodies.map((body) => ({ topic: settings.topic, body }))
let sent = 0
let stopping = false
process.on('message', (text) => {
  if (text === 'stop') stopping = true
})
process.once('disconnect', () => process.exit())
/** Published between two looks at the window. */
const BURST = Math.max(1, Math.floor(settings.batchBytes / bodyBytes))
while (!stopping) {
  await publisher.room()
  for (let i = 0; i < BURST; i++) {
    const message = messages[sent % messages.length] as (typeof messages)[number]
    message.body.writeUInt32LE(sent % 2 ** 32, 0)
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
