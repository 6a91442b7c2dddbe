// Tokens as people copy them: whole, cut, mistyped, wrapped, from the future.

import { hash } from 'node:crypto'
import t from 'tap'
import { Fault } from '#protocol/base/mod.ts'
import type { Invitation } from '#protocol/schema/mod.ts'
import { encodeToken, parseToken } from './mod.ts'

const invitation: Invitation = {
  addresses: ['tls://hub.example:7710', 'wss://hub.example/causeway'],
  hubName: 'centre',
  agent: 'civil-affairs',
  secret: Buffer.alloc(32, 0xab),
  caFingerprint: Buffer.alloc(32, 0xcd),
  expiresAtMs: 1_780_000_000_000,
}
const token = encodeToken(invitation)

const faultOf = (text: string): Fault => {
  try {
    parseToken(text)
  } catch (error) {
    if (error instanceof Fault) return error
    throw error
  }
  throw new Error(`accepted: ${text}`)
}

t.test('a token survives copying, with line breaks and spaces', async (t) => {
  t.match(token, /^cwt1\.[A-Za-z0-9_-]+$/)
  t.strictSame(parseToken(token), invitation)
  t.strictSame(parseToken(` ${token.match(/.{1,40}/g)?.join('\r\n  ')}\n`), invitation)
})

t.test('every truncation is found and called so', async (t) => {
  for (let length = 6; length < token.length; length += 1) {
    const { code, message } = faultOf(token.slice(0, length))
    if (code !== 'TOKEN_MALFORMED' || !message.includes('its end is missing')) t.fail(`${length}: ${message}`)
  }
  t.match(faultOf('cwt1').message, /does not start with cwt1\./)
  t.match(faultOf('').message, /does not start with cwt1\./)
})

t.test('every mistyped character is found', async (t) => {
  for (let at = 0; at < token.length; at += 1) {
    for (const typed of ['A', 'b', '_']) {
      if (token[at] === typed) continue
      const { code } = faultOf(token.slice(0, at) + typed + token.slice(at + 1))
      if (code !== 'TOKEN_MALFORMED') t.fail(`${at}: ${code}`)
    }
  }
  t.match(faultOf(token.replace(/.$/, '!')).message, /character "!" at position \d+/)
  t.match(faultOf(token.slice(0, -1)).message, /its end is missing/)
  const swapped = token.slice(0, 20) + token[21] + token[20] + token.slice(22)
  if (swapped !== token) t.match(faultOf(swapped).message, /a character is wrong/)
})

t.test('too much, too long, too new', async (t) => {
  t.match(faultOf(`${token}AAAA`).message, /more at its end/)
  t.match(faultOf(`cwt1.${'A'.repeat(10_000)}`).message, /characters are too many/)
  t.equal(faultOf(token.replace('cwt1', 'cwt2')).code, 'TOKEN_VERSION')
})

t.test('a sound checksum over unsound contents does not help', async (t) => {
  const spoilt: Partial<Invitation>[] = [
    { addresses: [] },
    { addresses: ['two words'] },
    { hubName: '../x' },
    { agent: '' },
    { secret: Buffer.alloc(31) },
    { caFingerprint: Buffer.alloc(0) },
  ]
  for (const change of spoilt) {
    t.match(faultOf(encodeToken({ ...invitation, ...change })).message, /contents are incomplete/)
  }
  const body = Buffer.from([0, 2, 0xff, 0xff])
  const forged = Buffer.concat([body, hash('sha256', body, 'buffer').subarray(0, 4)])
  t.match(faultOf(`cwt1.${forged.toString('base64url')}`).message, /contents cannot be read/)
})

t.test('no fault repeats the token', async (t) => {
  const secret = token.slice(5)
  for (const text of [token.slice(0, -4), `${token}AAAA`, token.replace(/.$/, '!'), token.replace('cwt1', 'cwt2')]) {
    const said = JSON.stringify(faultOf(text))
    for (let at = 0; at + 12 < secret.length; at += 1) if (said.includes(secret.slice(at, at + 12))) t.fail(said)
  }
})
