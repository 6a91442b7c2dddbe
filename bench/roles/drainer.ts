// Consumes queues or the agent's own subscriptions, settles everything, and checks the counters at both ends of every
// delivery (what lies between is one signed batch). Started by a scenario with settings as JSON.

import { Client, type SubscribeOptions, type Subscription } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { DELIVERY_CREDIT_BYTES } from '../sizes.ts'

const { identity, subscriptions } = JSON.parse(process.argv[2] ?? '{}') as {
  identity: string
  subscriptions: SubscribeOptions[]
}
const client = await Client.connect({ identity: loadIdentity(identity) })
/** One account for all of them: a hundred subscriptions shall not put a hundred windows into memory. */
const creditBytes = Math.max(512 * 1024, Math.floor(DELIVERY_CREDIT_BYTES / subscriptions.length))
let received = 0
let outOfOrder = 0

async function drain(subscription: Subscription): Promise<void> {
  let expected = 0
  for await (const delivery of subscription) {
    const { count } = delivery
    const [first, last] = [0, count - 1].map((i) => delivery.message(i).body.readUInt32LE(0))
    if (first !== expected || last !== (expected + count - 1) % 2 ** 32) outOfOrder++
    expected = ((last as number) + 1) % 2 ** 32
    received += count
    delivery.settle()
  }
}

for (const options of subscriptions) void drain(await client.subscribe({ ...options, creditBytes }))
const report = () => process.send?.({ received, outOfOrder, atMs: performance.now() })
setInterval(report, 20)
report()
