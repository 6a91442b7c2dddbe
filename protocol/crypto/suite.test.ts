import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { faultCode } from '#protocol/bytes/testing.ts'
import { ed25519, keyIdOf, SUITE_ED25519, SUITE_NONE, signingKey, suiteOf } from './mod.ts'

/** RFC 8410 section 7: a PKCS#8 wrapping of the 32 bytes of a private key. */
const privateKeyOf = (seedHex: string) =>
  createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from(seedHex, 'hex')]),
    format: 'der',
    type: 'pkcs8',
  })

t.test('Ed25519: known answers of RFC 8032 section 7.1', async (t) => {
  const cases = [
    {
      seed: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      public: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      message: '',
      signature:
        'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    },
    {
      seed: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      public: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      message: '72',
      signature:
        '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    },
  ]
  for (const { seed, public: publicHex, message, signature } of cases) {
    const key = privateKeyOf(seed)
    const publicKey = createPublicKey(key)
    t.equal(publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('hex'), publicHex)
    const signed = ed25519.sign(key, Buffer.from(message, 'hex'))
    t.equal(signed.toString('hex'), signature)
    t.ok(ed25519.verify(publicKey, Buffer.from(message, 'hex'), signed))
  }
})

t.test('no other signature is good', async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const text = Buffer.from('text')
  const signature = ed25519.sign(privateKey, text)
  for (let at = 0; at < signature.length; at++) {
    const changed = Buffer.from(signature)
    changed[at] = (changed[at] as number) ^ 1
    if (ed25519.verify(publicKey, text, changed)) t.fail(`byte ${at}`)
  }
  t.notOk(ed25519.verify(publicKey, Buffer.from('texT'), signature))
  t.notOk(ed25519.verify(generateKeyPairSync('ed25519').publicKey, text, signature))
  t.notOk(ed25519.verify(publicKey, text, signature.subarray(1)))
  t.notOk(ed25519.verify(publicKey, text, Buffer.alloc(0)))
  // S + L: the same signature to a verifier that does not reduce (RFC 8032 section 8.4).
  const order = 2n ** 252n + 27742317777372353535851937790883648493n
  const little = (bytes: Buffer): bigint => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
  const sum = (little(signature.subarray(32)) + order).toString(16).padStart(64, '0')
  const malleated = Buffer.concat([signature.subarray(0, 32), Buffer.from(sum, 'hex').reverse()])
  t.notOk(ed25519.verify(publicKey, text, malleated))
})

t.test('digests are SHA-256 in both forms', async (t) => {
  for (const text of ['', 'abc', '行政区划'.repeat(100)]) {
    const wanted = createHash('sha256').update(text).digest('hex')
    t.equal(ed25519.digest(Buffer.from(text)).toString('hex'), wanted)
    t.equal(Buffer.from(ed25519.digestLatin1(Buffer.from(text)), 'latin1').toString('hex'), wanted)
  }
})

t.test('suites are found by number, unknown ones are refused', async (t) => {
  t.equal(suiteOf(SUITE_ED25519), ed25519)
  for (const id of [SUITE_NONE, 2, 3, 255])
    t.equal(
      faultCode(() => suiteOf(id)),
      'SUITE_UNKNOWN',
    )
})

t.test('a key is named by eight bytes of the digest of its SPKI', async (t) => {
  const key = privateKeyOf('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60')
  const spki = `302a300506032b6570032100${'d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'}`
  const wanted = createHash('sha256').update(Buffer.from(spki, 'hex')).digest('hex').slice(0, 16)
  t.equal(keyIdOf(createPublicKey(key)).toString('hex'), wanted)
  t.equal(signingKey(key).keyId.toString('hex'), wanted)
})
