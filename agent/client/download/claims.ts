// What a hub says of a content, against what was asked for, what it said before, and what the origin signed.

import type { Fetched } from '#protocol/schema/mod.ts'
import {
  type ChunkList,
  checkAgainst,
  checkName,
  type Manifest,
  parseManifest,
  transferFault,
  verifyManifest,
} from '#protocol/transfer/mod.ts'
import type { Origins } from '../origins.ts'
import { downloadFault } from './faults.ts'
import type { DownloadOptions } from './options.ts'

/** `before`: what it said on an earlier connection. Faults: `CONTENT_ORIGIN_OTHER`, `CONTENT_NAME_INVALID`, `TRANSFER_MALFORMED`. */
export function checkFetched(fetched: Fetched, before: Fetched | null, options: DownloadOptions): void {
  const { origin, as = 'folder' } = options
  if (as === 'folder' && fetched.name !== '') checkName(fetched.name)
  if (origin !== undefined && fetched.origin !== origin) {
    throw downloadFault('CONTENT_ORIGIN_OTHER', { why: `it is ${fetched.origin}, not ${origin}` })
  }
  const same =
    before === null ||
    (before.size === fetched.size &&
      before.chunkBytes === fetched.chunkBytes &&
      before.name === fetched.name &&
      before.mediaType === fetched.mediaType &&
      before.origin === fetched.origin)
  if (!same) throw transferFault('TRANSFER_MALFORMED', { why: 'the hub says something else of it than before' })
}

/** Signed by its origin, and of these chunks. Faults: `MANIFEST_*`, `ORIGIN_UNKNOWN`. */
export function checkedManifest(
  bytes: Buffer,
  of: { readonly id: Buffer; readonly list: ChunkList; readonly fetched: Fetched; readonly origins: Origins },
): Manifest {
  const { id, list, fetched, origins } = of
  const manifest = parseManifest(bytes)
  checkAgainst(manifest, id, list)
  const { origin, name, mediaType } = manifest
  if (origin !== fetched.origin || name !== fetched.name || mediaType !== fetched.mediaType) {
    throw transferFault('MANIFEST_INVALID', { why: 'it says something else of the content than the hub does' })
  }
  verifyManifest(manifest, origins.keyFor(origin, manifest.keyId))
  return manifest
}
