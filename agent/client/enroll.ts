// Enrolment: a one-time token for a certificate. The key is made here and never leaves.

import { randomBytes } from 'node:crypto'
import { createIdentity, type Identity, parseToken, saveEnrolment } from '#agent/identity/mod.ts'
import { asFault, systemClock } from '#protocol/base/mod.ts'
import { type AgentDone, AgentHandshake } from '#protocol/handshake/mod.ts'
import { CorkedWriter, Link } from '#protocol/session/mod.ts'
import { parseAddress } from './address.ts'
import { lineBroken } from './connection.ts'
import { dial, readChunks } from './dial.ts'
import { clientFault } from './faults.ts'
import { HANDSHAKE_MS_MAX, LIMITS, SOFTWARE, VERSIONS } from './limits.ts'

type Enrolled = Extract<AgentDone, { kind: 'enrolled' }>

/**
 * Redeems `tokenText` and stores the identity in `folder`. Tries the token's addresses in turn (or `addresses` instead).
 * Faults: `TOKEN_*`, `IDENTITY_*`, `HUB_UNREACHABLE`, `HANDSHAKE_*`.
 */
export async function enroll(options: {
  readonly folder: string
  readonly tokenText: string
  readonly addresses?: readonly string[]
}): Promise<Identity> {
  const token = parseToken(options.tokenText)
  const addresses = options.addresses ?? token.addresses
  const { key } = createIdentity(options.folder, token.agent)
  let failure = clientFault('HUB_UNREACHABLE', { why: 'no address was tried' })
  for (const text of addresses) {
    try {
      const { certificate, caCertificate } = await redeem(text, token, key)
      return saveEnrolment(options.folder, {
        name: token.agent,
        hubName: token.hubName,
        addresses,
        certificate,
        caCertificate,
        enrolledAtMs: Date.now(),
      })
    } catch (error) {
      failure = asFault(error, text)
      if (failure.code !== 'HUB_UNREACHABLE') break
    }
  }
  throw failure
}

async function redeem(text: string, token: ReturnType<typeof parseToken>, key: Identity['key']): Promise<Enrolled> {
  const address = parseAddress(text)
  const dialled = await dial({
    address,
    caPem: null,
    hubName: token.hubName,
    timeoutMs: HANDSHAKE_MS_MAX,
  })
  const { stream, channelBinding } = dialled
  const handshake = new AgentHandshake({
    name: token.agent,
    hubName: token.hubName,
    key,
    purpose: { kind: 'enroll', secret: token.secret, caFingerprint: token.caFingerprint },
    versions: VERSIONS,
    features: [],
    limits: LIMITS,
    software: SOFTWARE,
    nonce: randomBytes(32),
    channelBinding,
    requireBinding: address.kind === 'tls',
  })
  const writer = new CorkedWriter(stream)
  const { promise, resolve, reject } = Promise.withResolvers<Enrolled>()
  const link = new Link<{ keepaliveMs: number; frameBytesMax: number }>({
    transport: { write: (bytes) => writer.write(bytes), end: () => stream.end() },
    handshake: {
      start: () => handshake.start().send,
      receive: (kind, body) => {
        const { send, done } = handshake.receive(Date.now(), kind, body)
        if (done?.kind === 'enrolled') resolve(done)
        return { send, done: null }
      },
    },
    handler: { onReady: () => undefined, onFrame: () => undefined, onClosed: reject },
    nowMs: systemClock.nowMs(),
    handshakeMsMax: HANDSHAKE_MS_MAX,
  })
  const timer = setInterval(() => link.tick(systemClock.nowMs()), 1000)
  readChunks(dialled, (chunk) => link.receive(systemClock.nowMs(), chunk))
  stream.on('error', (error) => link.ended(lineBroken(error)))
  stream.on('close', () => link.ended(null))
  link.start()
  try {
    return await promise
  } finally {
    clearInterval(timer)
    stream.end()
    stream.destroySoon?.()
  }
}
