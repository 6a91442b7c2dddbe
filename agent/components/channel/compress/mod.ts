// Channel `compress`, and what it shares with `decompress`.

export { CompressChannel } from './channel.ts'
export { compressFault } from './faults.ts'
export * from './limits.ts'
export { type CompressSettings, compressSettings } from './settings.ts'
export { packZip, type ZipFile } from './zip-writer.ts'
