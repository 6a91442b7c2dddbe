// Sends through a peer as fast as it acknowledges. Body: u32 counter, then filler. Started by a scenario with settings as
// JSON. Whoever doubts a peer's tuning tries another: TUNE='{"batch":500,"window":4000,"lag":20000}' in the environment.

import { isPeerName, loadPeer } from '../peers/mod.ts'

type Settings = { peer: string; port: number; bodyBytes: number }

const { peer: name, port, bodyBytes } = JSON.parse(process.argv[2] ?? '{}') as Settings
if (!isPeerName(name)) throw new Error(`no peer is called ${name}`)
const peer = await loadPeer(name)
const { batch, window, lag } = { ...peer.tuning(bodyBytes), ...JSON.parse(process.env.TUNE ?? '{}') }
const producing = await peer.producer(port)

let sent = 0
let acknowledged = 0
let settled = 0
let stopping = false
let wake = () => {}
process.on('message', (message: 'stop' | { received: number }) => {
  if (message === 'stop') stopping = true
  else settled = message.received
  wake()
})
// Batches of bodies that nobody holds any more.
const spare: Buffer[][] = []

function nextBatch(): Buffer[] {
  const bodies = spare.pop() ?? Array.from({ length: batch }, () => Buffer.alloc(bodyBytes, 'x'))
  for (const body of bodies) {
    body.writeUInt32LE(sent % 2 ** 32, 0)
    sent++
  }
  return bodies
}

function sendBatch(): void {
  const bodies = nextBatch()
  let left = bodies.length
  producing.send(bodies, (count) => {
    acknowledged += count
    left -= count
    if (left === 0) spare.push(bodies)
    wake()
  })
}

const woken = () =>
  new Promise<void>((resolve) => {
    wake = resolve
  })
while (!stopping) {
  if (sent - acknowledged + batch > window || sent - settled > lag) {
    await woken()
    continue
  }
  sendBatch()
  // Lets acknowledgements in between batches.
  await new Promise((resolve) => setImmediate(resolve))
}
while (acknowledged < sent) await woken()
process.send?.({ sent })
