import t from 'tap'
import { faultCode } from '#protocol/bytes/testing.ts'
import { BULK_FRAME_BYTES_MAX, CHUNK_DATA_BYTES_MAX, FRAME_HEADER_BYTES } from '#protocol/frame/mod.ts'
import { DATA_PREFIX_BYTES } from './data.ts'
import { dataFrameStart, parseChunkData } from './mod.ts'

t.test('CHUNK_DATA on the wire', async (t) => {
  const start = dataFrameStart({ transfer: 7, chunk: 0x01020304, offset: 262_144, bytes: 3 })
  t.equal(start.toString('hex'), '1300000036000400' + '07000000' + '04030201' + '00000400' + '00000000')
  const body = Buffer.concat([start.subarray(FRAME_HEADER_BYTES), Buffer.from('abc')])
  const { bytes, ...numbers } = parseChunkData(body)
  t.strictSame(numbers, { transfer: 7, chunk: 0x01020304, offset: 262_144 })
  t.equal(bytes.toString(), 'abc')
  t.equal(bytes.buffer, body.buffer, 'a view')
})

t.test('its largest numbers and its largest body', async (t) => {
  const max = 0xffff_ffff
  const start = dataFrameStart({ transfer: max, chunk: max, offset: max, bytes: CHUNK_DATA_BYTES_MAX })
  const body = Buffer.concat([start.subarray(FRAME_HEADER_BYTES), Buffer.alloc(CHUNK_DATA_BYTES_MAX)])
  t.equal(body.length, BULK_FRAME_BYTES_MAX)
  const { transfer, chunk, offset, bytes } = parseChunkData(body)
  t.strictSame([transfer, chunk, offset, bytes.length], [max, max, max, CHUNK_DATA_BYTES_MAX])
})

t.test('bodies that are too short, too long or not zero where they must be', async (t) => {
  const code = (body: Buffer) => faultCode(() => parseChunkData(body))
  for (let length = 0; length <= DATA_PREFIX_BYTES; length++) {
    t.equal(code(Buffer.alloc(length)), 'TRANSFER_MALFORMED', `${length} bytes`)
  }
  t.equal(code(Buffer.alloc(DATA_PREFIX_BYTES + 1)), null)
  t.equal(code(Buffer.alloc(BULK_FRAME_BYTES_MAX + 1)), 'TRANSFER_MALFORMED')
  for (let at = 12; at < 16; at++) {
    const body = Buffer.alloc(DATA_PREFIX_BYTES + 1)
    body[at] = 1
    t.equal(code(body), 'TRANSFER_MALFORMED', `byte ${at}`)
  }
})
