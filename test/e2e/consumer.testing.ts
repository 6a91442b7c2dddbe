// A consumer in a process of its own that never settles. Started by tests that stop or kill it: identity folder, queue.

import { Client } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'

const [identity = '', queue = ''] = process.argv.slice(2)
const client = await Client.connect({ identity: loadIdentity(identity) })
await client.subscribe({ queue, creditBytes: 64 * 2 ** 20 })
process.send?.('subscribed')
