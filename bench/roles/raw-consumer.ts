// The ceiling's consumer: parses frames and messages and checks the counter of each. Started by a scenario with settings as JSON.

import { once } from 'node:events'
import { connect } from 'node:net'
import { eachMessage, readFrames } from './raw-frames.ts'

const { port } = JSON.parse(process.argv[2] ?? '{}') as { port: number }
let received = 0
let outOfOrder = 0
let expected = 0
const socket = connect({ host: '127.0.0.1', port, noDelay: true })
socket.once('error', ({ message }) => {
  console.error(`no relay any more: ${message}`)
  process.exit(1)
})
readFrames(socket, (frame) => {
  received += eachMessage(frame, (offset) => {
    const counter = frame.readUInt32LE(offset)
    if (counter !== expected) outOfOrder++
    expected = (counter + 1) % 2 ** 32
  })
})
await once(socket, 'connect')
const report = () => process.send?.({ received, outOfOrder, atMs: performance.now() })
setInterval(report, 20)
report()
