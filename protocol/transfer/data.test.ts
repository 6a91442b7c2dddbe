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
  t.strictSame(numbers, { transfer: 7, chunk: 0x01020304, offset: 262_144, encodedBytes: 0 })
  t.equal(bytes.toString(), 'abc')
  t.equal(bytes.buffer, body.buffer, 'a view')
})

t.test('a part of an encoded chunk', async (t) => {
  const start = dataFrameStart({ transfer: 7, chunk: 1, offset: 5, encodedBytes: 0x0102, bytes: 3 })
  t.equal(start.toString('hex'), '1300000036000400' + '07000000' + '01000000' + '05000000' + '02010000')
  const { offset, encodedBytes, bytes } = parseChunkData(
    Buffer.concat([start.subarray(FRAME_HEADER_BYTES), Buffer.from('abc')]),
  )
  t.strictSame([offset, encodedBytes, bytes.toString()], [5, 0x0102, 'abc'])
})

t.test('its largest numbers and its largest body', async (t) => {
  const max = 0xffff_ffff
  const start = dataFrameStart({ transfer: max, chunk: max, offset: max, bytes: CHUNK_DATA_BYTES_MAX })
  const body = Buffer.concat([start.subarray(FRAME_HEADER_BYTES), Buffer.alloc(CHUNK_DATA_BYTES_MAX)])
  t.equal(body.length, BULK_FRAME_BYTES_MAX)
  const { transfer, chunk, offset, bytes } = parseChunkData(body)
  t.strictSame([transfer, chunk, offset, bytes.length], [max, max, max, CHUNK_DATA_BYTES_MAX])
})

t.test('bodies that are too short, too long or beyond the end of what encodes the chunk', async (t) => {
  const code = (body: Buffer) => faultCode(() => parseChunkData(body))
  for (let length = 0; length <= DATA_PREFIX_BYTES; length++) {
    t.equal(code(Buffer.alloc(length)), 'TRANSFER_MALFORMED', `${length} bytes`)
  }
  t.equal(code(Buffer.alloc(DATA_PREFIX_BYTES + 1)), null)
  t.equal(code(Buffer.alloc(BULK_FRAME_BYTES_MAX + 1)), 'TRANSFER_MALFORMED')
  const encoded = (offset: number, encodedBytes: number) => {
    const body = Buffer.alloc(DATA_PREFIX_BYTES + 10)
    body.writeUInt32LE(offset, 8)
    body.writeUInt32LE(encodedBytes, 12)
    return code(body)
  }
  t.equal(encoded(0, 10), null)
  t.equal(encoded(0, 9), 'TRANSFER_MALFORMED')
  t.equal(encoded(1, 10), 'TRANSFER_MALFORMED')
  t.equal(encoded(0xffff_ffff, 0xffff_ffff), 'TRANSFER_MALFORMED', 'no sum of 32 bits')
  t.equal(encoded(0xffff_fff5, 0xffff_ffff), null)
})
