// Lines of standard input as messages.

import t from 'tap'
import { BODY_BYTES_MAX } from '#protocol/frame/mod.ts'
import { linesOf } from './messages.ts'

async function lines(...chunks: (string | Buffer)[]): Promise<Buffer[]> {
  async function* input() {
    for (const chunk of chunks) yield Buffer.from(chunk as string)
  }
  const all: Buffer[] = []
  for await (const line of linesOf(input())) all.push(line)
  return all
}

const latin = async (...chunks: (string | Buffer)[]) => (await lines(...chunks)).map((line) => line.toString('latin1'))

t.test('lines are what stands between line ends, byte by byte', async (t) => {
  t.same(await latin('a\nb\r\n\nc'), ['a', 'b', '', 'c'])
  t.same(await latin('a', 'b\r', '\nc', '\n'), ['ab', 'c'])
  t.same(await latin(''), [])
  t.same(await latin('\n'), [''])
  t.same(await latin(Buffer.from([0x61, 0xff, 0xfe, 0x0a, 0xd5]), Buffer.from([0xc5])), ['a\xff\xfe', '\xd5\xc5'])
})

t.test('a line without an end is not collected for ever', async (t) => {
  const chunk = Buffer.alloc(65_536, 0x78)
  const got = await lines(...Array<Buffer>(40).fill(chunk))
  t.ok((got[0]?.length ?? 0) > BODY_BYTES_MAX, 'too large for a message, which publishing tells')
  t.ok(
    got.every((line) => line.length <= BODY_BYTES_MAX + 2 * chunk.length),
    'and no more is held',
  )
})
