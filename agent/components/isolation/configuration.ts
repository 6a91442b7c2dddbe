// What isolated work is configured by: a text in shared memory, written once, that each thread compiles once and keeps.
//
//   0  int32  1 when nobody uses it any more: threads then forget what they made of it
//   4  UTF-8

import { Buffer } from 'node:buffer'

const HEADER_BYTES = 4

/** As it goes to a thread. `version` tells it from all others of this process. */
export type Configuration = { readonly version: number; readonly memory: SharedArrayBuffer }

let versions = 0

/** A new version, of any length. It costs its bytes once, however many threads read it. */
export function configurationOf(text: string): Configuration {
  const memory = new SharedArrayBuffer(HEADER_BYTES + Buffer.byteLength(text))
  Buffer.from(memory, HEADER_BYTES).write(text)
  versions += 1
  return { version: versions, memory }
}

/** Nothing runs with it any more. */
export function retire({ memory }: Configuration): void {
  Atomics.store(new Int32Array(memory, 0, 1), 0, 1)
}

export const isRetired = ({ memory }: Configuration): boolean => Atomics.load(new Int32Array(memory, 0, 1), 0) === 1

export const textOf = ({ memory }: Configuration): string => Buffer.from(memory, HEADER_BYTES).toString()
