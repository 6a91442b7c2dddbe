// The two ends of a comparison in one shape: the product's client as a peer's client is used (bench/peers/contract.ts), so
// that one producer and one consumer program serve all.

import { Client, type PriorityName } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import type { OnSettled, Producing, Tuning } from './peers/contract.ts'
import { isPeerName, loadPeer } from './peers/mod.ts'
import { BATCH_BYTES, DELIVERY_CREDIT_BYTES, WINDOW_BYTES } from './sizes.ts'

/** What a role is told: how to reach its server. `identity` is the folder of the role's own agent. */
export type Side =
  | {
      readonly kind: 'product'
      readonly identity: string
      readonly queue: string
      readonly topic: string
      /** Of what is published; `normal` when left out. */
      readonly priority?: PriorityName
    }
  | { readonly kind: 'peer'; readonly name: string; readonly variant: string; readonly port: number }

export async function openProducing(side: Side, bodyBytes: number): Promise<Producing & { readonly tuning: Tuning }> {
  if (side.kind === 'peer') {
    const peer = await peerOf(side.name)
    const producing = await peer.producer(side.port)
    return { send: (bodies, acknowledged) => producing.send(bodies, acknowledged), tuning: peer.tuning(bodyBytes) }
  }
  const client = await Client.connect({ identity: loadIdentity(side.identity) })
  const publisher = client.publisher({ stream: 'bench', batchBytes: BATCH_BYTES, windowBytes: WINDOW_BYTES })
  const window = Math.floor(WINDOW_BYTES / bodyBytes)
  const { topic, priority = 'normal' } = side
  return {
    // A backlog is what the hub is for: nothing bounds it here.
    tuning: { batch: Math.max(1, Math.floor(BATCH_BYTES / bodyBytes)), window, lag: Number.MAX_SAFE_INTEGER },
    send(bodies, acknowledged) {
      let stored: Promise<unknown> = Promise.resolve()
      for (const body of bodies) stored = publisher.publish({ topic, body, priority })
      // One that is refused ends the process: a rejection nobody handles.
      void stored.then(() => acknowledged(bodies.length))
    },
  }
}

/** Calls back with the bodies of what was just settled. Resolves when messages can come. */
export async function openConsuming(side: Side, onSettled: OnSettled): Promise<void> {
  if (side.kind === 'peer') {
    const peer = await peerOf(side.name)
    await peer.consumer(side.port, side.variant, onSettled)
    return
  }
  const client = await Client.connect({ identity: loadIdentity(side.identity) })
  const subscription = await client.subscribe({ queue: side.queue, creditBytes: DELIVERY_CREDIT_BYTES })
  const consume = async () => {
    for await (const delivery of subscription) {
      delivery.settle()
      onSettled(Array.from({ length: delivery.count }, (_, i) => delivery.message(i).body))
    }
  }
  void consume()
}

function peerOf(name: string) {
  if (!isPeerName(name)) throw new Error(`no peer is called ${name}`)
  return loadPeer(name)
}
