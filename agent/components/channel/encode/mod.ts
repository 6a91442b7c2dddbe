// Channel `encode`, and its codecs for channels that read and write documents with encoded parts.

export { EncodeChannel } from './channel.ts'
export { decodeBase64, decodeQuoted, encodeBase64, encodeQuoted, inLines } from './codecs.ts'
export { type EncodeSettings, encodeSettings } from './settings.ts'
