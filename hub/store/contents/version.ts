// Which version of the contents' store wrote a folder. What an older one wrote is read as it is; a folder is signed as of this one
// when it is opened, so that an older program does not take rows it does not know for damaged ones.

import type { Engine } from '../engine.ts'
import { storeFault } from '../faults.ts'
import { nothing } from '../works.ts'

/**
 * 1: chunks as they are, contents that do not expire. 2: also encoded chunks, and contents that expire. 3: also parts that are
 * missing.
 */
export const CONTENTS_VERSION = 3
const CONTENTS_VERSION_OLDEST = 1

/** `null`: it was never signed, and holds nothing. */
export function versionOf(engine: Engine): number | null {
  return engine.table('meta').get('version')?.readUInt32LE(0) ?? null
}

export const isReadable = (version: number | null): boolean =>
  version !== null && version >= CONTENTS_VERSION_OLDEST && version <= CONTENTS_VERSION

/** Signs a folder that is new, or older. Faults: `STORE_VERSION`. */
export function checkVersion(engine: Engine): void {
  const version = versionOf(engine)
  if (version === CONTENTS_VERSION) return
  if (version !== null && !isReadable(version)) {
    throw storeFault('STORE_VERSION', { why: `the contents are of version ${version}` })
  }
  const meta = engine.table('meta')
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(CONTENTS_VERSION)
  // It goes with the first transaction: nothing of this version is on the disk before.
  void engine.maintain({ write: () => meta.put('version', bytes), done: nothing })
}
