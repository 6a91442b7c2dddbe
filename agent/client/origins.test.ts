import t from 'tap'
import { openBatch } from '#protocol/codec/mod.ts'
import { message, sealed } from '#protocol/codec/testing.ts'
import { signingKey } from '#protocol/crypto/mod.ts'
import { encodeOrigin } from '#protocol/schema/mod.ts'
import { AGENT_CERTIFICATE, AGENT_NAME, actorKey, CA, HUB_CERTIFICATE, HUB_NAME } from '#protocol/spec/actors.ts'
import { Origins } from './origins.ts'

const headOf = (origin: string, key: string) =>
  openBatch(sealed([message('x')], { origin, key: signingKey(actorKey(key)) })).head

const origin = (name: string, certificate: Buffer) => encodeOrigin({ name, certificate })

t.test('who was presented with a good certificate is believed', async (t) => {
  const origins = new Origins(CA, HUB_NAME)
  t.equal(origins.introduce(origin(AGENT_NAME, AGENT_CERTIFICATE)), null)
  t.equal(origins.introduce(origin(HUB_NAME, HUB_CERTIFICATE)), null)
  openBatch(sealed([message('x')], { origin: AGENT_NAME, key: signingKey(actorKey('agent')) })).verify(
    origins.keyOf(headOf(AGENT_NAME, 'agent')),
  )
  t.throws(() => origins.keyOf(headOf('somebody', 'agent')), { code: 'ORIGIN_UNKNOWN' }, 'but under his name only')
  t.throws(() => origins.keyOf(headOf(AGENT_NAME, 'hub')), { code: 'ORIGIN_UNKNOWN' }, 'and with his key')
})

t.test('a bad certificate is remembered with the reason, and ends nothing', async (t) => {
  const origins = new Origins(CA, HUB_NAME)
  t.match(origins.introduce(origin(AGENT_NAME, HUB_CERTIFICATE)), { code: /^CERTIFICATE_WRONG/ })
  t.throws(() => origins.keyOf(headOf(AGENT_NAME, 'hub')), { code: /^CERTIFICATE_WRONG/ })
  t.match(origins.introduce(origin('garbage', Buffer.from('no certificate'))), { code: 'CERTIFICATE_INVALID' })
  t.equal(origins.introduce(origin(AGENT_NAME, AGENT_CERTIFICATE)), null, 'a good one comes later')
  t.ok(origins.keyOf(headOf(AGENT_NAME, 'agent')))
})
