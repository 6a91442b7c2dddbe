// Latency of one variant of a peer at one rate, on a server and files of its own.

import type { Times } from '../flow.ts'
import { measurePaced, type Paced } from '../paced.ts'
import { freshFolder } from '../stage.ts'
import type { Entry } from './choose.ts'

export async function measurePacedPeer(
  options: Entry & { bodyBytes: number; perSecond: number; times: Times },
): Promise<Paced> {
  const { peer, variant, bodyBytes, perSecond, times } = options
  const folder = freshFolder(variant.name)
  try {
    const server = await peer.start(folder.dir, variant.name)
    try {
      const side = { kind: 'peer', name: peer.name, variant: variant.name, port: server.port } as const
      return await measurePaced({ producer: side, consumer: side, server: server.process, bodyBytes, perSecond, times })
    } finally {
      await server.stop()
    }
  } finally {
    folder.remove()
  }
}
