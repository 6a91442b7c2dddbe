// What two greetings agree on. Both sides compute it; the agent compares its own result with the hub's READY.

import type { Hello, Limits } from '#protocol/schema/mod.ts'
import { handshakeFault } from './faults.ts'
import { FRAME_BYTES_FLOOR } from './limits.ts'

/** Versions of the protocol this code speaks, inclusive. */
export type Versions = { readonly min: number; readonly max: number }

export type Agreement = {
  readonly version: number
  /** Bit b of word w is feature 32·w+b; no trailing zero words. */
  readonly features: readonly number[]
  readonly limits: Limits
}

const LIMIT_FLOORS: Readonly<Record<keyof Limits, number>> = {
  frameBytesMax: FRAME_BYTES_FLOOR,
  batchBytesMax: 1,
  bodyBytesMax: 1,
  batchMessagesMax: 1,
  headersBytesMax: 1,
  creditBytesMax: 1,
  streamsMax: 1,
  subscriptionsMax: 1,
}

/**
 * Highest common version, common features, smaller limits. Faults: VERSION_UNSUPPORTED, HANDSHAKE_HELLO_INVALID,
 * HANDSHAKE_LIMIT_MISSING.
 */
export function agree(own: Hello, peer: Hello): Agreement {
  if (own.limits === null) throw new Error('own HELLO has no limits')
  return {
    version: commonVersion(own, peer),
    features: commonFeatures(own.features, peer.features),
    limits: smallerLimits(own.limits, peer.limits),
  }
}

export const agreementsEqual = (a: Agreement, b: Agreement): boolean =>
  a.version === b.version &&
  a.features.length === b.features.length &&
  a.features.every((word, i) => word === b.features[i]) &&
  limitNames.every((name) => a.limits[name] === b.limits[name])

/** Whether feature `bit` was agreed. */
export function hasFeature(features: readonly number[], bit: number): boolean {
  return (((features[bit >>> 5] ?? 0) >>> (bit & 31)) & 1) === 1
}

const limitNames = Object.keys(LIMIT_FLOORS) as (keyof Limits)[]

function commonVersion(own: Hello, peer: Hello): number {
  if (peer.versionMin < 1 || peer.versionMin > peer.versionMax) {
    throw handshakeFault('HANDSHAKE_HELLO_INVALID', { why: `versions ${peer.versionMin} to ${peer.versionMax}` })
  }
  const highest = Math.min(own.versionMax, peer.versionMax)
  if (highest >= Math.max(own.versionMin, peer.versionMin)) return highest
  throw handshakeFault('VERSION_UNSUPPORTED', {
    why: `this side speaks ${own.versionMin} to ${own.versionMax}, the peer ${peer.versionMin} to ${peer.versionMax}`,
    ownMin: own.versionMin,
    ownMax: own.versionMax,
    peerMin: peer.versionMin,
    peerMax: peer.versionMax,
  })
}

function commonFeatures(own: readonly number[], peer: readonly number[]): readonly number[] {
  const words = own.slice(0, peer.length).map((word, i) => (word & (peer[i] ?? 0)) >>> 0)
  while (words.at(-1) === 0) words.pop()
  return words
}

function smallerLimits(own: Limits, peer: Limits | null): Limits {
  const result = { ...own }
  for (const name of limitNames) {
    const value = peer?.[name] ?? 0
    const floor = LIMIT_FLOORS[name]
    if (value < floor)
      throw handshakeFault('HANDSHAKE_LIMIT_MISSING', { why: `${name} is ${value}, at least ${floor}`, limit: name })
    result[name] = Math.min(own[name], value)
  }
  return result
}
