// Channel `filter`.

export { filterChannel } from './channel.ts'
export { type FilterSettings, filterSettings } from './settings.ts'
