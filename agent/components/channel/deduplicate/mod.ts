// Channel `deduplicate`.

export { DeduplicateChannel } from './channel.ts'
export { type DeduplicateSettings, deduplicateSettings } from './settings.ts'
