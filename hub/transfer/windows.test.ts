import t from 'tap'
import { CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, WINDOW_BYTES } from '#protocol/transfer/mod.ts'
import { AGAIN_BYTES_MAX, UNDER_WAY_BYTES_MAX, UPLOADS_MAX } from './limits.ts'
import { Windows } from './windows.ts'

const MIB = 1024 * 1024

t.test(
  'what is under way, and a chunk or what is on the line, may travel again, together within the bound',
  async (t) => {
    const windows = new Windows()
    for (let chunkBytes = CHUNK_BYTES_MIN; chunkBytes <= 5 * MIB; chunkBytes += CHUNK_BYTES_MIN) {
      const bytes = windows.of(chunkBytes)
      t.ok(bytes <= WINDOW_BYTES && bytes + chunkBytes <= AGAIN_BYTES_MAX, `${bytes} of chunks of ${chunkBytes}`)
      t.ok(bytes >= 2 * chunkBytes, 'one comes while another is stored')
    }
    for (const chunkBytes of [6 * MIB, CHUNK_BYTES_MAX, 0]) {
      const bytes = windows.of(chunkBytes)
      t.ok(bytes >= 1.5 * chunkBytes && bytes >= CHUNK_BYTES_MAX && bytes + 3 * MIB <= AGAIN_BYTES_MAX, `${bytes}`)
    }
  },
)

t.test('many uploads have less each, and never less than a chunk', async (t) => {
  const windows = new Windows()
  const places = Array.from({ length: UPLOADS_MAX }, () => windows.enter())
  t.notOk(places.includes(null))
  t.equal(windows.enter(), null)
  t.equal(windows.of(CHUNK_BYTES_MIN), Math.floor(UNDER_WAY_BYTES_MAX / UPLOADS_MAX))
  t.equal(windows.of(CHUNK_BYTES_MAX), CHUNK_BYTES_MAX)
  t.equal(windows.of(0), CHUNK_BYTES_MAX)
  for (const place of places) place?.[Symbol.dispose]()
  t.not(windows.enter(), null)
})
