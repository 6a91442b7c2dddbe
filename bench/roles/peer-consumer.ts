// Consumes from a peer, settles every message and checks its counter. Started by a scenario with settings as JSON.

import { isPeerName, loadPeer } from '../peers/mod.ts'

type Settings = { peer: string; variant: string; port: number }

const { peer: name, variant, port } = JSON.parse(process.argv[2] ?? '{}') as Settings
if (!isPeerName(name)) throw new Error(`no peer is called ${name}`)
const peer = await loadPeer(name)

let received = 0
let outOfOrder = 0
let expected = 0
await peer.consumer(port, variant, (bodies) => {
  for (const body of bodies) {
    const counter = ((body[0] ?? 0) | ((body[1] ?? 0) << 8) | ((body[2] ?? 0) << 16) | ((body[3] ?? 0) << 24)) >>> 0
    if (counter !== expected) outOfOrder++
    expected = (counter + 1) % 2 ** 32
  }
  received += bodies.length
})
const report = () => process.send?.({ received, outOfOrder, atMs: performance.now() })
setInterval(report, 20)
report()
