// A fixed vector for what is signed, so that it cannot change unnoticed, and for feature bits.

import { createHash } from 'node:crypto'
import t from 'tap'
import { hasFeature } from './mod.ts'
import { agentProofText, enrolProofText, hubProofText, transcriptHash } from './transcript.ts'

t.test('the transcript is what the specification says', async (t) => {
  const parts = ['causeway handshake v1\0', Buffer.from('435741590d0a9a0a', 'hex'), Buffer.from([2, 0, 0, 0]), 'AB']
  const rest = [Buffer.from([3, 0, 0, 0]), 'CDE', Buffer.alloc(32, 9)]
  const expected = createHash('sha256')
  for (const part of [...parts, ...rest]) expected.update(part)
  const found = transcriptHash(Buffer.from('AB'), Buffer.from('CDE'), Buffer.alloc(32, 9))
  t.same(found, expected.digest())
  t.notSame(found, transcriptHash(Buffer.from('AB'), Buffer.from('CDE'), null))
  t.notSame(found, transcriptHash(Buffer.from('ABC'), Buffer.from('DE'), Buffer.alloc(32, 9)))
})

t.test('each proof has its own label', async (t) => {
  const hash = Buffer.alloc(32)
  t.equal(hubProofText(hash).subarray(0, -32).toString(), 'causeway hub proof v1\0')
  t.equal(agentProofText(hash).subarray(0, -32).toString(), 'causeway agent proof v1\0')
  t.equal(enrolProofText(hash).subarray(0, -32).toString(), 'causeway enrol v1\0')
})

t.test('feature bits', async (t) => {
  t.ok(hasFeature([1], 0))
  t.ok(hasFeature([0, 0x8000_0000], 63))
  t.notOk(hasFeature([0, 0x8000_0000], 31))
  t.notOk(hasFeature([], 5))
})
