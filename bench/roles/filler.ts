// Publishes a given number of messages as fast as the hub acknowledges, and says how far it has come. Body: u32 counter,
// then filler. Started by a scenario with settings as JSON; `{ first, messages }` makes it publish, as often as it is told.

import { Client } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { BATCH_BYTES, WINDOW_BYTES } from '../sizes.ts'

const { identity, topic, bodyBytes } = JSON.parse(process.argv[2] ?? '{}') as {
  identity: string
  topic: string
  bodyBytes: number
}
const client = await Client.connect({ identity: loadIdentity(identity) })
const publisher = client.publisher({ stream: 'bench', batchBytes: BATCH_BYTES, windowBytes: WINDOW_BYTES })
const message = { topic, body: Buffer.alloc(bodyBytes, 'x') }
const burst = Math.max(1, Math.floor(BATCH_BYTES / bodyBytes))
/** Of the numbers under way; -1 before the first. */
let from = -1
let acknowledged = 0

async function publish(first: number, messages: number): Promise<void> {
  from = first
  acknowledged = 0
  for (let sent = 0; sent < messages; ) {
    await publisher.room()
    const count = Math.min(burst, messages - sent)
    let stored: Promise<unknown> = Promise.resolve()
    for (let i = 0; i < count; i++) {
      message.body.writeUInt32LE((first + sent) % 2 ** 32, 0)
      sent++
      stored = publisher.publish(message)
    }
    const upTo = sent
    // One that is refused rejects `flush` below.
    void stored.then(
      () => {
        acknowledged = upTo
      },
      () => undefined,
    )
    // Lets acknowledgements in between bursts.
    await new Promise((resolve) => setImmediate(resolve))
  }
  await publisher.flush()
  acknowledged = messages
}

const report = () => process.send?.({ first: from, acknowledged, atMs: performance.now() })
process.on('message', ({ first, messages }: { first: number; messages: number }) => {
  void publish(first, messages).then(report)
})
setInterval(report, 20)
report()
