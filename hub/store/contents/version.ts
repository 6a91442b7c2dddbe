// Which version of the contents' store wrote a folder.

import type { Engine } from '../engine.ts'
import { storeFault } from '../faults.ts'
import { nothing } from '../works.ts'

export const CONTENTS_VERSION = 1

/** Signs a new folder. Faults: `STORE_VERSION`. */
export function checkVersion(engine: Engine): void {
  const meta = engine.table('meta')
  const version = meta.get('version')?.readUInt32LE(0)
  if (version === CONTENTS_VERSION) return
  if (version !== undefined) throw storeFault('STORE_VERSION', { why: `the contents are of version ${version}` })
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(CONTENTS_VERSION)
  void engine.maintain({ write: () => meta.put('version', bytes), done: nothing })
}
