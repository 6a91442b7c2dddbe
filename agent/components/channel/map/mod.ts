// Channel `map`.

export { MapChannel } from './channel.ts'
export { type MapSettings, mapSettings } from './settings.ts'
