// One measurement of one variant of a peer, on a server and files of its own.

import { startRole } from '../children.ts'
import { type Flow, measureFlow, type Times } from '../flow.ts'
import { freshFolder } from '../stage.ts'
import type { Peer, Variant } from './contract.ts'

export async function measurePeer(options: {
  peer: Peer
  variant: Variant
  bodyBytes: number
  times: Times
}): Promise<Flow> {
  const { peer, variant, bodyBytes, times } = options
  const folder = freshFolder(variant.name)
  try {
    const server = await peer.start(folder.dir, variant.name)
    try {
      const { port } = server
      return await measureFlow({
        server: server.process,
        startConsumer: () => startRole('peer-consumer', { peer: peer.name, variant: variant.name, port }),
        startProducer: () => startRole('peer-producer', { peer: peer.name, port, bodyBytes }),
        times,
      })
    } finally {
      await server.stop()
    }
  } finally {
    folder.remove()
  }
}
