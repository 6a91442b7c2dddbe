// Accepted sockets that read into the shared buffer of an `Inlet`. Node lets only those who connect choose where a socket reads to;
// so the connection of an accepted socket is handed to a new one, which is told.

import { Socket } from 'node:net'
import { Inlet, type OnChunk } from '#protocol/session/mod.ts'

/**
 * What one read takes off a socket at most. The system's loop reads up to 32 times before it turns to other sockets, so this
 * bounds what an urgent message waits for when another connection is busy.
 */
const RECEIVE_BYTES = 64 * 1024

export type Received = { readonly socket: Socket; readonly read: (onChunk: OnChunk) => void }

/** Node's own name for the connection beneath a socket; it is not documented, so nothing here depends on there being one. */
type WithHandle = { _handle: object | null }

/**
 * `accepted` must be paused and not have been read. It goes on to count as a connection of its server, ends with the socket
 * given, and is of no other use. Where Node does not give the connection away, the socket given is the one accepted.
 */
export function readThroughInlet(accepted: Socket): Received {
  const inner = accepted as unknown as WithHandle
  const handle = inner._handle
  if (handle === null || typeof handle !== 'object')
    return { socket: accepted, read: (onChunk) => void accepted.on('data', onChunk) }
  inner._handle = null
  const inlet = new Inlet(RECEIVE_BYTES)
  const options = { handle, pauseOnCreate: true, onread: inlet.onread }
  const socket = new Socket(options as ConstructorParameters<typeof Socket>[0])
  socket.once('close', () => accepted.destroy())
  return { socket, read: inlet.read }
}
