// Thousands of agents of one hub: enrolled in bulk, held by a few processes.

import { generateKeyPair, X509Certificate } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openAuthority } from '#hub/security/mod.ts'
import { fingerprint } from '#protocol/handshake/mod.ts'

/** What a role needs to be these agents. Certificates in base64 DER, keys in PEM. */
export type Crowd = {
  readonly hubName: string
  readonly address: string
  readonly caCertificate: string
  readonly agents: readonly { readonly name: string; readonly key: string; readonly certificate: string }[]
}

/** Dialled at once by each process while they come for the first time: nothing is measured then. */
export const DIALLING_MAX = 32

const newKeyPair = promisify(generateKeyPair)

/**
 * Enrols agents as `causeway-hub invite` and `causeway-agent enroll` would, but without a token, a connection and two
 * flushes each, which is an hour for ten thousand. The hub reads their records as they connect. Gives a file for each
 * process, `perProcess` agents in it.
 */
export async function enrolCrowd(options: {
  hubDir: string
  dir: string
  address: string
  count: number
  perProcess: number
}): Promise<string[]> {
  const { hubDir, dir, address, count, perProcess } = options
  const authority = openAuthority(join(hubDir, 'security'))
  const records = join(hubDir, 'security', 'agents')
  mkdirSync(records, { recursive: true, mode: 0o700 })
  const files: string[] = []
  for (let at = 0; at < count; at += perProcess) {
    const agents: { name: string; key: string; certificate: string }[] = []
    for (let i = at; i < Math.min(count, at + perProcess); i++) {
      const name = `idle-${i}`
      const { publicKey, privateKey } = await newKeyPair('ed25519')
      const spki = publicKey.export({ type: 'spki', format: 'der' })
      const certificate = authority.issue({ spki, name })
      const record = {
        name,
        keyFingerprint: fingerprint(spki).toString('hex'),
        serials: [new X509Certificate(certificate).serialNumber],
        publish: ['#'],
        consume: ['#'],
        enrolledAtMs: Date.now(),
        invitedAtMs: Date.now(),
        revokedAtMs: null,
      }
      writeFileSync(join(records, `${name}.json`), JSON.stringify(record), { mode: 0o600 })
      const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
      agents.push({ name, key, certificate: certificate.toString('base64') })
    }
    const { hubName } = authority
    const crowd: Crowd = { hubName, address, caCertificate: authority.caCertificate.toString('base64'), agents }
    const file = join(dir, `crowd-${files.length}.json`)
    writeFileSync(file, JSON.stringify(crowd), { mode: 0o600 })
    files.push(file)
  }
  return files
}

/** Connections a process may have open, with some left for its files. */
export function connectionsMax(): number {
  const soft = /Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  return Number(soft ?? 1024) - 200
}
