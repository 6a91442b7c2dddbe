// The ceiling's producer: copies bodies into batches and sends them over a socket, a window ahead of the acknowledgements.
// Body: u32 counter, then filler. Started by a scenario with settings as JSON.

import { connect } from 'node:net'
import { HEADER_BYTES, readFrames } from './raw-frames.ts'

type Settings = { port: number; bodyBytes: number; batchBytes: number; windowBytes: number }

const { port, bodyBytes, batchBytes, windowBytes } = JSON.parse(process.argv[2] ?? '{}') as Settings
const perBatch = Math.max(1, Math.floor(batchBytes / bodyBytes))
const body = Buffer.alloc(bodyBytes, 'x')
const spare = Array.from({ length: Math.max(1, Math.floor(windowBytes / (perBatch * bodyBytes))) }, () =>
  Buffer.alloc(HEADER_BYTES + perBatch * (HEADER_BYTES + bodyBytes)),
)
const underWay: (typeof spare)[number][] = []
let sent = 0
let stopping = false
let wake = () => {}
process.on('message', (message) => {
  if (message === 'stop') stopping = true
  wake()
})
const socket = connect({ host: '127.0.0.1', port, noDelay: true })
socket.once('error', ({ message }) => {
  console.error(`no relay any more: ${message}`)
  process.exit(1)
})
readFrames(socket, () => {
  const acknowledged = underWay.shift()
  if (acknowledged !== undefined) spare.push(acknowledged)
  wake()
})

function fill(batch: Buffer): void {
  let at = batch.writeUInt32LE(batch.length - HEADER_BYTES, 0)
  for (let i = 0; i < perBatch; i++) {
    body.writeUInt32LE(sent % 2 ** 32, 0)
    sent++
    at = batch.writeUInt32LE(bodyBytes, at)
    batch.set(body, at)
    at += bodyBytes
  }
}

const woken = () =>
  new Promise<void>((resolve) => {
    wake = resolve
  })
while (!stopping) {
  const batch = spare.pop()
  if (batch === undefined) {
    await woken()
    continue
  }
  fill(batch)
  underWay.push(batch)
  socket.write(batch)
  await new Promise((resolve) => setImmediate(resolve))
}
while (underWay.length > 0) await woken()
process.send?.({ sent })
