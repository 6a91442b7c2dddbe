// The peers the product is measured beside. Their clients are loaded only in the processes that use them.

import { existsSync } from 'node:fs'
import type { Peer, Variant } from './contract.ts'
import { locate } from './server.ts'

export type { Peer, Producing, Variant } from './contract.ts'

const loaders = {
  redis: () => import('./redis.ts').then(({ redis }) => redis),
  nats: () => import('./nats.ts').then(({ nats }) => nats),
  rabbitmq: () => import('./rabbitmq.ts').then(({ rabbitmq }) => rabbitmq),
  mosquitto: () => import('./mosquitto.ts').then(({ mosquitto }) => mosquitto),
} as const

export type PeerName = keyof typeof loaders

export const peerNames = Object.keys(loaders) as readonly PeerName[]

export const isPeerName = (name: string): name is PeerName => Object.hasOwn(loaders, name)

export function loadPeer(name: PeerName): Promise<Peer> {
  return loaders[name]()
}

/** Why a peer cannot be measured here; null when it can. */
export async function unavailable(peer: Peer, variant: Variant): Promise<string | null> {
  if (!existsSync('/proc/self/stat')) return 'peers are measured on Linux only'
  if (locate(peer.program) === null) return `${peer.program} is not installed: run bench/peers/install as root`
  return (await variant.reason?.()) ?? null
}
