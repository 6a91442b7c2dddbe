// Which version of the contents' store wrote a folder.

import type { Engine } from '../engine.ts'
import { storeFault } from '../faults.ts'
import { nothing } from '../works.ts'

export const CONTENTS_VERSION = 1

/** `null`: it was never signed, and holds nothing. */
export function versionOf(engine: Engine): number | null {
  return engine.table('meta').get('version')?.readUInt32LE(0) ?? null
}

/** Signs a new folder. Faults: `STORE_VERSION`. */
export function checkVersion(engine: Engine): void {
  const version = versionOf(engine)
  if (version === CONTENTS_VERSION) return
  if (version !== null) throw storeFault('STORE_VERSION', { why: `the contents are of version ${version}` })
  const meta = engine.table('meta')
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(CONTENTS_VERSION)
  void engine.maintain({ write: () => meta.put('version', bytes), done: nothing })
}
