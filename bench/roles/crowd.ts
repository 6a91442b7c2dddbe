// Many agents in one process, connected and idle. Started by a scenario with settings as JSON; says how many are connected.
// `storm` makes all of them drop their connections and dial again at once.

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Client } from '#agent/client/mod.ts'
import type { Identity } from '#agent/identity/mod.ts'
import { type Crowd, DIALLING_MAX } from '../crowd.ts'

const { file } = JSON.parse(process.argv[2] ?? '{}') as { file: string }
const crowd = JSON.parse(readFileSync(file, 'utf8')) as Crowd
const caCertificate = new X509Certificate(Buffer.from(crowd.caCertificate, 'base64'))
const nowhere = { key: '', certificate: '', caCertificate: '', identity: '' }
const identities: Identity[] = crowd.agents.map(({ name, key, certificate }) => ({
  name,
  hubName: crowd.hubName,
  addresses: [crowd.address],
  key: createPrivateKey(key),
  certificate: Buffer.from(certificate, 'base64'),
  caCertificate,
  enrolledAtMs: 0,
  storePaths: nowhere,
}))
let clients: Client[] = []
/** Attempts that failed, or connections lost. */
let failures = 0

const startOne = (identity: Identity): Client => Client.start({ identity, onDisconnected: () => failures++ })

async function arrive(): Promise<void> {
  const left = [...identities]
  const dial = async () => {
    for (let identity = left.pop(); identity !== undefined; identity = left.pop()) {
      const client = startOne(identity)
      clients.push(client)
      while (!client.connected) await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
  await Promise.all(Array.from({ length: DIALLING_MAX }, dial))
}

function storm(): void {
  const former = clients
  failures = 0
  for (const client of former) void client.close()
  clients = identities.map(startOne)
}

process.on('message', (message) => {
  if (message === 'storm') storm()
  process.send?.({ stormed: true, connected: 0, failures: 0 })
})
const connected = () => clients.reduce((sum, client) => sum + (client.connected ? 1 : 0), 0)
const report = () => process.send?.({ connected: connected(), failures })
setInterval(report, 100)
report()
await arrive()
