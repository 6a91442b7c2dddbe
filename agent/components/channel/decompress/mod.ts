// Channel `decompress`, and the reading of archives for others.

export { DecompressChannel } from './channel.ts'
export { type DecompressSettings, decompressSettings } from './settings.ts'
export { type UnzipOptions, unzip, type ZipMember } from './zip-reader.ts'
