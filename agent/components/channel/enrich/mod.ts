// Channel `enrich`.

export { EnrichChannel } from './channel.ts'
export { type EnrichSettings, enrichSettings } from './settings.ts'
