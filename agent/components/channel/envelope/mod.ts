// Channel `envelope`.

export { EnvelopeChannel } from './channel.ts'
export { type EnvelopeSettings, envelopeSettings } from './settings.ts'
