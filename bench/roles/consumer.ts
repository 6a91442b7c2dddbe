// Consumes a queue, checks the counter in every body, settles every message. A scenario starts it with settings as JSON:
// node bench/roles/consumer.ts SETTINGS

import { Client } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'

const settings = JSON.parse(process.argv[2] ?? '{}') as {
  identity: string
  queue: string
  creditBytes: number
}
const client = await Client.connect({ identity: loadIdentity(settings.identity) })
const { queue, creditBytes } = settings
const subscription = await client.subscribe({ queue, creditBytes })
process.once('disconnect', () => process.exit())
let received = 0
let outOfOrder = 0
let expected = 0
const report = () => process.send?.({ received, outOfOrder, atMs: performance.now(), cpu: process.cpuUsage() })
setInterval(report, 50)
report()
for await (const delivery of subscription) {
  for (let i = 0; i < delivery.count; i++) {
    const counter = delivery.message(i).body.readUInt32LE(0)
    if (counter !== expected) outOfOrder++
    expected = (counter + 1) % 2 ** 32
  }
  received += delivery.count
  delivery.settle()
}
