// Files that are compressed already, by what they begin with: trying to shorten them is a waste.

/** Bytes of a file that are looked at. */
export const MAGIC_BYTES = 16

/** Where it stands, and what. Formats that may hold what is not compressed (PDF, TIFF, tar, WAV) are not among them. */
const MAGICS: readonly (readonly [at: number, hex: string])[] = [
  [0, '504b0304'], // ZIP; so DOCX, ODT, OFD, JAR, APK
  [0, '1f8b'], // gzip
  [0, '28b52ffd'], // zstd
  [0, 'fd377a585a00'], // xz
  [0, '425a68'], // bzip2
  [0, '377abcaf271c'], // 7z
  [0, '526172211a07'], // RAR
  [0, '04224d18'], // LZ4
  [0, 'ffd8ff'], // JPEG
  [0, '89504e470d0a1a0a'], // PNG
  [0, '47494638'], // GIF
  [8, '57454250'], // WebP
  [4, '66747970'], // MP4, MOV, HEIC, AVIF
  [0, '1a45dfa3'], // Matroska, WebM
  [0, '4f676753'], // Ogg
  [0, '664c6143'], // FLAC
  [0, '494433'], // MP3 with tags
]

/** `head`: the first bytes, as many as there are. */
export const isPacked = (head: Buffer): boolean =>
  MAGICS.some(([at, hex]) => head.toString('hex', at, at + hex.length / 2) === hex)
