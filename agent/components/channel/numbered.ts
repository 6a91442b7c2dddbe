// Names of several documents that come of one.

import { posix } from 'node:path'
import type { Value } from '../contract.ts'

/** `a.xml` → `a.01.xml`, with as many digits as the last one needs, so that they sort. Without a name there is none. */
export function numbered(name: Value | undefined, part: number, count: number): { readonly name?: string } {
  if (typeof name !== 'string') return {}
  const { dir, name: stem, ext } = posix.parse(name)
  return { name: posix.join(dir, `${stem}.${String(part).padStart(String(count).length, '0')}${ext}`) }
}
