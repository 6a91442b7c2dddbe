// The ceiling's server: parses frames and messages, puts each batch into LMDB as one value, acknowledges it when it is
// flushed, and hands it on. LMDB is set as in the hub's store. Started by a scenario with settings as JSON.

import { type AddressInfo, createServer, type Socket } from 'node:net'
import { open } from 'lmdb'
import { eachMessage, readFrames } from './raw-frames.ts'

const { path } = JSON.parse(process.argv[2] ?? '{}') as { path: string }
const store = open<Buffer, number>({
  path,
  noSubdir: true,
  encoding: 'binary',
  overlappingSync: false,
  eventTurnBatching: true,
})
/** The length of an empty body. */
const ACKNOWLEDGEMENT = Buffer.alloc(4)
let stored = 0
let consumer: Socket | null = null

function serveProducer(producer: Socket): void {
  readFrames(producer, (frame) => {
    eachMessage(frame, () => {})
    void store.put(stored++, frame).then(() => {
      producer.write(ACKNOWLEDGEMENT)
      if (consumer?.write(frame) !== false || producer.isPaused()) return
      producer.pause()
      consumer.once('drain', () => producer.resume())
    })
  })
}

async function listen(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer({ noDelay: true }, serve)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

process.send?.({
  consumerPort: await listen((socket) => {
    consumer = socket
  }),
  producerPort: await listen(serveProducer),
})
