export { type HubSourceSettings, hubSourceSettings } from './settings.ts'
export { HubSource } from './source.ts'
