// libxml2-wasm is loaded when it is first needed: it takes some 50 ms, and most programs never do.

import { assert } from '#protocol/base/mod.ts'

export type Libxml2 = typeof import('libxml2-wasm')

let loaded: Libxml2 | null = null

export async function loadLibxml2(): Promise<Libxml2> {
  loaded ??= await import('libxml2-wasm')
  return loaded
}

export const isLibxml2Loaded = (): boolean => loaded !== null

/** After `loadLibxml2`. */
export function libxml2(): Libxml2 {
  assert(loaded !== null, 'libxml2 is loaded before it is used')
  return loaded
}
