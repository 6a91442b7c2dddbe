// Runs in a worker thread: SHA-256 of bytes in shared memory.

import { hash } from 'node:crypto'

export default function digestOf(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer')
}
