// What the origin of a content signs when all of it is known: the name under which it travels, its size, the root over its
// chunks. Little-endian:
//
//   0 u32 "CWM1" · 4 u8 suite · 5 u8 0 · 6 u16 bytes signed · 8 content id (16) · 24 u53 size · 32 u32 chunk bytes ·
//   36 u32 chunks · 40 root (32) · 72 u53 sealed at, ms since 1970 · 80 key id (8) · 88 u8 origin's bytes, origin ·
//   u8 name's bytes, name · u8 media type's bytes, media type · u16 signature's bytes, signature

import type { KeyObject } from 'node:crypto'
import { assert, Fault } from '#protocol/base/mod.ts'
import { ByteReader, writeU53 } from '#protocol/bytes/mod.ts'
import { DIGEST_BYTES, ed25519, KEY_ID_BYTES, type SigningKey, SUITE_ED25519, suiteOf } from '#protocol/crypto/mod.ts'
import type { ChunkList } from './chunk-list.ts'
import { transferFault } from './faults.ts'
import { CONTENT_ID_BYTES, MANIFEST_BYTES_MAX, MEDIA_TYPE_LENGTH_MAX } from './limits.ts'
import { nameProblem } from './names.ts'
import { checkPlan } from './plan.ts'

const MAGIC = 0x314d5743
const NAMES_AT = 88
const ORIGIN_BYTES_MAX = 200
const PRINTABLE = /^[\x20-\x7e]*$/
/** What a signature is made over begins with this, so that it can never be taken for a signature of something else. */
const CONTEXT = Buffer.from('causeway content v1\0')

export type Manifest = {
  readonly contentId: Buffer
  readonly size: number
  readonly chunkBytes: number
  readonly chunks: number
  readonly root: Buffer
  readonly sealedAtMs: number
  readonly origin: string
  readonly name: string
  readonly mediaType: string
}

/** A manifest with what is needed to check its signature. */
export type SealedManifest = Manifest & {
  readonly keyId: Buffer
  /** Everything the signature covers, and the signature. */
  readonly signed: Buffer
  readonly signature: Buffer
  readonly suite: number
}

/** Signs what is known of a complete content. Faults: `MANIFEST_INVALID` for texts that no manifest may have. */
export function sealManifest(
  manifest: Omit<Manifest, 'size' | 'chunkBytes' | 'chunks' | 'root'>,
  list: ChunkList,
  key: SigningKey,
): Buffer {
  assert(list.complete && manifest.contentId.length === CONTENT_ID_BYTES, 'the whole content, and its id')
  checkTexts(manifest)
  const texts = [manifest.origin, manifest.name, manifest.mediaType].map((text) => Buffer.from(text))
  const signedBytes = NAMES_AT + texts.reduce((sum, text) => sum + 1 + text.length, 0)
  const out = Buffer.alloc(signedBytes + 2 + ed25519.signatureBytes)
  out.writeUInt32LE(MAGIC, 0)
  out[4] = SUITE_ED25519
  out.writeUInt16LE(signedBytes, 6)
  manifest.contentId.copy(out, 8)
  writeU53(out, 24, list.size)
  out.writeUInt32LE(list.chunkBytes, 32)
  out.writeUInt32LE(list.count, 36)
  list.root().copy(out, 40)
  writeU53(out, 72, manifest.sealedAtMs)
  key.keyId.copy(out, 80)
  let at = NAMES_AT
  for (const text of texts) {
    out[at++] = text.length
    at += text.copy(out, at)
  }
  at = out.writeUInt16LE(ed25519.signatureBytes, at)
  at += ed25519.sign(key.privateKey, Buffer.concat([CONTEXT, out.subarray(0, signedBytes)])).copy(out, at)
  assert(at === out.length, 'a manifest of its length')
  return out
}

/** Parses and checks the form, not the signature. Faults: `MANIFEST_INVALID`. */
export function parseManifest(bytes: Buffer): SealedManifest {
  try {
    return parse(bytes)
  } catch (cause) {
    if (!(cause instanceof Fault) || cause.code === 'MANIFEST_INVALID') throw cause
    throw invalid(cause.message, cause)
  }
}

function parse(bytes: Buffer): SealedManifest {
  if (bytes.length > MANIFEST_BYTES_MAX) throw invalid(`${bytes.length} bytes`)
  const reader = new ByteReader(bytes, 'manifest')
  if (reader.u32() !== MAGIC) throw invalid('it begins with something else')
  const suite = reader.u8()
  if (reader.u8() !== 0) throw invalid('a reserved byte is not zero')
  const signedBytes = reader.u16()
  const contentId = Buffer.from(reader.view(CONTENT_ID_BYTES))
  const [size, chunkBytes, chunks] = [reader.u53(), reader.u32(), reader.u32()]
  const root = Buffer.from(reader.view(DIGEST_BYTES))
  const sealedAtMs = reader.u53()
  const keyId = Buffer.from(reader.view(KEY_ID_BYTES))
  const [origin, name, mediaType] = [reader.text(reader.u8()), reader.text(reader.u8()), reader.text(reader.u8())]
  if (reader.offset !== signedBytes) throw invalid('its lengths do not add up')
  const signature = Buffer.from(reader.view(reader.u16()))
  reader.finish()
  checkPlan({ size, chunkBytes })
  if (chunkBytes > 0 && chunks !== Math.ceil(size / chunkBytes)) throw invalid(`${chunks} chunks`)
  checkTexts({ origin, name, mediaType })
  const signed = Buffer.from(bytes.subarray(0, signedBytes))
  const parts = { contentId, size, chunkBytes, chunks, root, sealedAtMs, origin, name, mediaType }
  return { ...parts, keyId, signed, signature, suite }
}

/** Faults: `MANIFEST_SIGNATURE_INVALID`, `SUITE_UNKNOWN`. */
export function verifyManifest({ suite, signed, signature, origin }: SealedManifest, publicKey: KeyObject): void {
  if (suiteOf(suite).verify(publicKey, Buffer.concat([CONTEXT, signed]), signature)) return
  throw transferFault('MANIFEST_SIGNATURE_INVALID', { where: `origin ${origin}` })
}

/** Is it the manifest of just these chunks? Faults: `MANIFEST_INVALID`. */
export function checkAgainst(manifest: Manifest, contentId: Uint8Array, list: ChunkList): void {
  const { size, chunkBytes, chunks, root } = manifest
  const fits =
    list.complete &&
    manifest.contentId.equals(contentId) &&
    size === list.size &&
    chunkBytes === list.chunkBytes &&
    chunks === list.count &&
    root.equals(list.root())
  if (!fits) throw invalid('it is of another content')
}

/** Who receives it makes a file of the name and shows the rest, so both sides check. */
function checkTexts({ origin, name, mediaType }: Pick<Manifest, 'origin' | 'name' | 'mediaType'>): void {
  if (origin === '' || Buffer.byteLength(origin) > ORIGIN_BYTES_MAX || !origin.isWellFormed())
    throw invalid('its origin')
  const problem = name === '' ? null : nameProblem(name)
  if (problem !== null) throw invalid(`its name: ${problem}`)
  if (mediaType.length > MEDIA_TYPE_LENGTH_MAX || !PRINTABLE.test(mediaType)) throw invalid('its media type')
}

const invalid = (why: string, cause?: unknown) => transferFault('MANIFEST_INVALID', { why, cause })
